import type { CrashStory } from './crash-story.ts';
import { failureStories } from './stories/failures.ts';
import { orderStories } from './stories/orders.ts';
import { protocolStories } from './stories/protocols.ts';
import { splitStories } from './stories/splits.ts';
import { syncStories } from './stories/sync.ts';

/** In these together every durable write happens that a mirror makes, but for those that only a failing disk of metadata brings about. */
export const crashStories: readonly CrashStory[] = [
  ...syncStories,
  ...protocolStories,
  ...failureStories,
  ...splitStories,
  ...orderStories,
];
