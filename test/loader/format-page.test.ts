import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { temporaryPath } from "../support/trace-builder.js";
import { exampleTrace } from "./example.js";
import { readNaively } from "./naive-reader.js";

const names = ["", "header", "pages", "blocks", "stream", "symbols", "index"];

test("the bytes that the format page shows are those of the writer", () => {
  const page = readFileSync(new URL("../../docs/trace-format.md", import.meta.url), "utf8");
  const { chunks } = readNaively(exampleTrace().write(temporaryPath("example.trace")));
  const shown = [...page.matchAll(/^ {4}(pages|blocks|stream|index) {2,}([0-9a-f? ]+)/gm)];
  expect(shown.map(([, name]) => name)).toEqual(["pages", "blocks", "stream", "index"]);
  for (const [, name, hex] of shown) {
    const chunk = chunks.find(({ kind }) => names[kind] === name);
    const actual = [...(chunk?.content ?? [])].map((byte) => byte.toString(16).padStart(2, "0"));
    // "??" stands for the sizes and checksums in the index, which follow from the header's JSON.
    const expected = hex.trim().split(" ");
    expect(actual.map((byte, i) => (expected[i] === "??" ? "??" : byte))).toEqual(expected);
  }
});
