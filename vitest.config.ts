import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    environment: "node",
    // Whole guests boot in tests: what bounds them is the guest's own time-out, with this above it.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: "forks",
    // Files that fetch or boot share the cache folder and two cores are what a small CI machine has.
    maxWorkers: 2,
    reporters: process.env.CI ? ["default"] : ["dot"],
  },
});
