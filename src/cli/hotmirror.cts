#!/usr/bin/env node

/**
 * Threads of libuv's pool, which all mirrors of a node share with its state files. A disk that hangs holds at most nine of them for each `FileDevice` and 32 for a `DirectDevice`: with the four of Node
 * one such disk would keep the node from writing its state. They cost address space, and no memory until they run.
 */
const poolThreads = 64;

// libuv reads it when the pool is first used, and Node has used it by the time that an ES module runs: so the command is this CommonJS file.
process.env['UV_THREADPOOL_SIZE'] ??= String(poolThreads);

void import('./main.ts');
