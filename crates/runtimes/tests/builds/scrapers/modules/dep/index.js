module.exports = "the dependency";
