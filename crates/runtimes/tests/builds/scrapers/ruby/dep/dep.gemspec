Gem::Specification.new do |spec|
  spec.name = "dep"
  spec.version = "1.0"
  spec.summary = "A dependency"
  spec.authors = ["Haul"]
  spec.files = ["lib/dep.rb"]
end
