import assert from "node:assert";
import test from "node:test";
import yuv from "../index.js";

test("it names its version", () => assert.match(yuv, /^yuv /));
