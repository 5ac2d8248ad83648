import { defineConfig } from "vitest/config";

export default defineConfig({
  // Vitest leaves one processor free; on a machine with two that is half of them.
  test: { include: ["test/**/*.test.ts"], testTimeout: 240_000, maxWorkers: "100%" },
});
