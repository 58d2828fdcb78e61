"use strict";

const fs = require("node:fs");
const path = require("node:path");

const file = path.join(__dirname, "..", "bundle.wasm");

exports.instantiate = () => new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file))).exports;
