import { createServer } from 'node:net';

// A process that listens on the unix socket of its argument until it is killed.
createServer().listen(process.argv[2], () => process.send?.('listening'));
