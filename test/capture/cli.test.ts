import { describe, expect, test } from "vitest";
import { muswarm, temporaryFolder } from "../cli/harness.js";

describe("muswarm capture", () => {
  test.each([
    ["--user", /--user needs a program: muswarm capture --user -o FILE -- \.\/program args/],
    ["--user -- /bin/true", /needs a file to write: -o program\.trace/],
    ["--user -o x.trace --warm 3 -- /bin/true", /--warm does not go with --user/],
    ["--user -o x.trace --inputs random -- /bin/true", /--inputs does not go with --user/],
    ["fibonacci-go more -o x.trace", /unexpected argument "more"; a program and its arguments need --user/],
    ["--all", /--all needs a folder to write to/],
    ["--all fibonacci-go -o x", /--all does not go with the name of a function/],
    ["fibonacci-go -o x.trace --port 80", /--port needs --image/],
    ["--image x.tar -o x.trace", /--image needs --port/],
    ["--image x.tar --port 80 -o x.trace", /needs either --grpc package\.Service\/Method or --http \/path/],
    ["--image x.tar --port 80 --http run -o x.trace", /--http "run" is neither \/path nor "METHOD \/path"/],
    ["--image x.tar --port 70000 --http / -o x.trace", /--port 70000 is no port/],
    ["--image x.tar --port 80 --grpc a/b --header a:b -o x.trace", /--header goes with --http only/],
    ["--image x.tar --port 80 --http / --request absent -o x.trace", /no file absent/],
    ["--image x.tar --port 80 --http / --env A -o x.trace", /--env A is not NAME=value/],
    ["--image x.tar --port 80 --http / --inputs linear -o x.trace", /--inputs does not go with --image/],
    ["fibonacci-go -o x.trace --cores 12", /cores: 12 is not a whole number from 2 to 8/],
    ["fibonacci-go -o x.trace --cores two", /--cores needs a whole number of at least 2, got "two"/],
    ["fibonacci-go -o x.trace --ns-per-instruction 3", /ns-per-instruction: 3 is not one of 1, 2, 4, 8/],
    ["--user -o x.trace --cores 3 -- /bin/true", /--cores does not go with --user/],
    ["--user -o x.trace --kernel amd64 -- /bin/true", /--kernel does not go with --user/],
    ["fibonacci-go -o x.trace --inputs lineal", /inputs: no generator "lineal"\. Did you mean "linear"\?/],
  ])("%s is answered in one line", async (line, message) => {
    const { code, stderr } = await muswarm(["capture", ...line.split(" ")]);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  test("hands the program's own options on and does not take them for its own", async () => {
    const folder = temporaryFolder();
    const { code, stderr } = await muswarm([
      ...["capture", "--user", "-o", `${folder}/x.trace`, "--", `${folder}/absent`, "--warm", "-h"],
    ]);
    expect([code, stderr]).toEqual([2, `muswarm: capture: no file ${folder}/absent\n`]);
  });

  test("lists the functions by suite", async () => {
    const { code, stdout } = await muswarm(["capture", "--list"]);
    expect(code).toBe(0);
    const heads = stdout.split("\n").filter((line) => /^\S/.test(line));
    expect(heads).toEqual(["Functions on their own", "Hotel application", "Online shop"]);
    expect(stdout).toMatch(/^ {2}geo-go +The hotels nearest to a place, in Go$/m);
  });
});
