// How the tests run: `npm test` passes this file to Vitest with the checkout as root.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Servers are tied to the main thread of the process that starts them, and shared memory to one process.
    pool: 'forks',
    maxWorkers: 2,
    // A limit against hanging, not a measure of speed: a night on two busy cores takes tens of seconds.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
  },
});
