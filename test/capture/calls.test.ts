import { describe, expect, test } from "vitest";
import { protosOf } from "../../src/capture/builds.js";
import { callLines, drawInputs, fill } from "../../src/capture/calls.js";
import { type Call, type FunctionSpec, findFunction, listFunctions } from "../../src/capture/functions.js";
import { companionScript } from "../../src/capture/images.js";

function spec(calls: number, values = { default: 5, from: 1, to: 3 }): FunctionSpec {
  const call = { method: "helloworld.Greeter/SayHello", request: { name: "$" + "{value}" } };
  return { ...findFunction("fibonacci-go"), calls: Array.from({ length: calls }, () => call), values };
}

const hole = (text: string) => `\${${text}}`;

describe("inputs", () => {
  test("are always the same where they are unique", () => {
    expect(drawInputs(spec(2), "unique", 1, 3)).toEqual(Array(3).fill({ call: 0, value: 5 }));
  });

  test("go through calls and values where they are linear", () => {
    const drawn = drawInputs(spec(2), "linear", 1, 8);
    expect(drawn.map(({ call, value }) => [call, value])).toEqual([
      [0, 1],
      [1, 1],
      [0, 2],
      [1, 2],
      [0, 3],
      [1, 3],
      [0, 1],
      [1, 1],
    ]);
  });

  test("are drawn by the seed where they are random, and reach every call and value", () => {
    const drawn = drawInputs(spec(2), "random", 7, 200);
    expect(drawInputs(spec(2), "random", 7, 200)).toEqual(drawn);
    expect(drawInputs(spec(2), "random", 8, 200)).not.toEqual(drawn);
    expect(new Set(drawn.map(({ call, value }) => `${call} ${value}`)).size).toBe(6);
    for (const { value } of drawn) expect([1, 2, 3]).toContain(value);
  });
});

describe("a template", () => {
  test("takes the value, from left to right", () => {
    expect(fill(hole("value"), 7)).toBe("7");
    expect(fill(`user_${hole("value+1%80+1")}`, 79)).toBe("user_1");
    expect(fill(hole("value*0.001-122.4"), 10)).toBe("-122.39");
  });

  test("chooses among words", () => {
    expect([0, 1, 2].map((value) => fill(hole("a|b"), value))).toEqual(["a", "b", "a"]);
  });

  test("can be in lists and objects", () => {
    expect(fill({ a: [hole("value"), 3], b: true }, 1)).toEqual({ a: ["1", 3], b: true });
  });

  test("that is no template is refused", () => {
    expect(() => fill(hole("process.exit()"), 1)).toThrow("must be value, followed by operations");
  });
});

describe("the client's lines", () => {
  test("hold method, request and the reply of the default value", () => {
    const fibonacci = findFunction("fibonacci-go");
    const [usual, other] = callLines(fibonacci, protosOf(fibonacci), [
      { call: 0, value: 10 },
      { call: 0, value: 11 },
    ]);
    const reply = Buffer.concat([Buffer.of(0x0a, 18), Buffer.from("fibonacci(10) = 55")]).toString("base64");
    expect(usual).toBe(`/helloworld.Greeter/SayHello =CgIxMA== =${reply}`);
    expect(other).toBe("/helloworld.Greeter/SayHello =CgIxMQ== *");
  });

  test("want nothing of a reply that has no fields", () => {
    const email = findFunction("email-python");
    expect(callLines(email, protosOf(email), [{ call: 0, value: 100 }])[0]).toMatch(/ -$/);
  });

  test("name the place of a method that there is not", () => {
    const wrong = spec(1);
    wrong.calls[0] = { method: "helloworld.Greeter/SayHallo", request: {} };
    expect(() => callLines(wrong, protosOf(wrong), [{ call: 0, value: 1 }])).toThrow(
      'calls.0.method: no method "helloworld.Greeter/SayHallo". Did you mean "helloworld.Greeter/SayHello"?',
    );
  });

  test.each(listFunctions().map((f) => f.name))("of %s can be made for all its inputs", (name) => {
    const each = findFunction(name);
    const { from, to, default: usual } = each.values;
    const drawn = each.calls.flatMap((_, call) =>
      [...Array(to - from + 1).keys()].map((i) => ({ call, value: from + i })).concat({ call, value: usual }),
    );
    for (const line of callLines(each, protosOf(each), drawn)) expect(line).toMatch(/^\/\S+ =\S* [-*=]\S*$/);
  });
});

test("companions become lines that the guest's shell reads", () => {
  const [companion] = findFunction("geo-go").companions;
  expect(companionScript([{ ...companion, env: { A: "it's" } }])).toMatch(
    /^companion redis 6379 'env' 'A=it'\\''s' '\/usr\/bin\/redis-server' .* '--save' '' /,
  );
  expect(companionScript([])).toBe("");
});

describe("calls over HTTP", () => {
  const served = { ...findFunction("fibonacci-go"), port: 8080 };
  const sent = (call: Call) => {
    const [line] = callLines({ ...served, calls: [call] }, [], [{ call: 0, value: served.values.default }]);
    const [method, request, reply] = line.split(" ");
    expect(method).toBe("HTTP");
    return [Buffer.from(request.slice(1), "base64").toString("latin1"), reply];
  };

  test("without a body are GET", () => {
    expect(sent({ http: "/a?n=1" })[0]).toBe(
      "GET /a?n=1 HTTP/1.1\r\nhost: 10.0.0.2:8080\r\nuser-agent: muswarm\r\naccept: */*\r\n\r\n",
    );
  });

  test("with one are POST; values are put into path and body", () => {
    const [text, reply] = sent({ http: `/${hole("value")}`, request: { n: hole("value+1") }, expect: "ok" });
    expect(text).toMatch(/^POST \/10 HTTP\/1\.1\r\n/);
    expect(text).toMatch(/\r\ncontent-type: application\/json\r\ncontent-length: 10\r\n\r\n\{"n":"11"\}$/);
    expect(reply).toBe(`=${Buffer.from("ok").toString("base64")}`);
  });

  test("have the method and the headers that are given", () => {
    const [text] = sent({ http: "PUT /x", request: "plain", headers: { "Content-Type": "text/plain" } });
    expect(text).toMatch(/^PUT \/x .*content-type: text\/plain\r\ncontent-length: 5\r\n\r\nplain$/s);
  });
});

test("an image's service need not be known: its request goes as it is", () => {
  const image = { ...findFunction("fibonacci-go"), runtime: "image" as const };
  const lines = (call: Call) => callLines({ ...image, calls: [call] }, [], [{ call: 0, value: 1 }]);
  expect(lines({ method: "a.B/C" })).toEqual(["/a.B/C = -"]);
  expect(lines({ method: "a.B/C", requestFile: "function.json" })[0]).toMatch(/^\/a\.B\/C =ewog\S+ -$/);
  expect(() => lines({ method: "a.B", requestFile: "function.json" })).toThrow(
    "is not package.Service/Method",
  );
});
