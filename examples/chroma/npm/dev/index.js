"use strict";

const path = require("node:path");

module.exports = { include: path.join(__dirname, "include") };
