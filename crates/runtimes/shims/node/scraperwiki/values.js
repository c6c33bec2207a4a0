// JavaScript's values as SQLite's, and back.
"use strict";

function kind(value) {
  if (value === null || value === undefined) return "null";
  if (typeof value === "boolean") return "boolean";
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return "integer";
  if (typeof value === "number") return "real";
  if (value instanceof Date) return "datetime";
  if (ArrayBuffer.isView(value)) return "blob";
  return typeof value === "object" ? "json" : "text";
}

// The type of a column that first holds the value. One that holds nothing yet keeps whatever comes as it is.
function declared(value) {
  if (kind(value) === "integer" && typeof stored(value) === "string") return "text";
  return { null: "", json: "text" }[kind(value)] ?? kind(value);
}

// What SQLite gets: dates as ISO 8601, nested values as JSON, integers that do not fit as text.
function stored(value) {
  switch (kind(value)) {
    case "null":
      return null;
    case "boolean":
      return Number(value);
    case "integer":
      return storedInteger(value);
    case "datetime":
      return value.toISOString().replace(".000Z", "+00:00").replace("Z", "000+00:00");
    case "json":
      return JSON.stringify(value, (_, part) => (typeof part === "bigint" ? String(part) : part));
    case "text":
      return String(value);
    default:
      return value;
  }
}

// A number that JavaScript holds as a fraction would be stored as one, so integers go as such.
function storedInteger(value) {
  const integer = BigInt(value);
  return BigInt.asIntN(64, integer) === integer ? integer : String(value);
}

// The value of a variable. Other libraries name types in their own language's words.
function restored(type, value) {
  if (Buffer.isBuffer(value) && type !== "blob") value = value.toString();
  switch (String(type).toLowerCase()) {
    case "integer":
    case "int":
    case "long":
    case "fixnum":
    case "bignum":
      return Number.isSafeInteger(Number(value)) ? Number(value) : BigInt(value);
    case "real":
    case "float":
    case "double":
      return Number(value);
    case "boolean":
    case "bool":
    case "trueclass":
    case "falseclass":
      return ["1", "true"].includes(String(value).toLowerCase());
    case "json":
      return JSON.parse(value);
    case "date":
    case "datetime":
      return new Date(value);
    default:
      return value;
  }
}

module.exports = { kind, declared, stored, restored };
