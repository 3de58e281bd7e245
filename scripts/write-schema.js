import { writeFileSync } from 'node:fs';

import { pairJsonSchema } from '../lib/node/config.js';

/** The JSON Schema of a pair's configuration, for editors: the same definition that the command validates with. */
const schema = JSON.stringify(pairJsonSchema(), null, 2);

writeFileSync(new URL('../lib/pair.schema.json', import.meta.url), `${schema}\n`);
