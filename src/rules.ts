/**
 * Every rule by name, in one sentence. `docs/rules.md` explains them and a test compares the names.
 * Decisions, events and refusals cite them.
 */
const sentences = {
  'element.start': 'An element is at most consistent after a start, a long pause, or a sign that the peer outlived the data link.',
  'node.leave': 'A node that stops says so, and the other never takes over because of it.',
  'element.off': 'An element that an operator takes out stays out, also over a restart, until it is brought back.',

  'write.both': 'A write completes when both elements hold it as the protocol promises.',
  'write.flush': 'A flush completes when everything completed before it is durable on both elements.',
  'write.order': 'Overlapping writes reach both elements in the same order, and nothing before what it may depend on.',
  'write.intent': 'Before a write changes an element, the fact that its extent may differ is durable.',
  'write.inflight': 'What was sent and not confirmed durable when the link drops is dirty.',
  'write.congested': 'By async a source may leave a target that cannot keep up, once that has durably recorded that it is behind.',
  'write.degraded': 'A write that one element alone holds completes only after going alone.',
  'write.error': 'Nothing is acknowledged that no element holds.',

  'lineage.decide': 'Both sides compute one decision from both lineages, and act only when their echoes agree.',
  'lineage.blank': 'Two blank elements hold no data to copy.',
  'lineage.fill': 'A blank element is filled from the other.',
  'lineage.equal': 'With equal generations nobody completed anything alone: the union of both dirty maps is copied.',
  'lineage.base': 'The side whose base is the generation of the other is the source; the union is copied.',
  'lineage.history': 'A generation found in the history of the other is too old for its map: everything is copied.',
  'lineage.split': 'Both sides completed writes alone: nobody copies anything.',
  'lineage.resolve': "An operator's word ends the split whose generations were judged, and no other.",
  'lineage.unchanged': 'A side that began nothing alone gives way by itself, where that is configured.',
  'lineage.unrelated': 'Elements with nothing in common are never copied over each other.',
  'lineage.direction': 'Which side is newer cannot be known, so an operator says it.',
  'lineage.source': 'An unfinished or failed element is never a source.',
  'lineage.serving': 'A serving node never becomes a target.',
  'lineage.size': 'An element smaller than the mirror cannot hold it.',
  'lineage.grow': 'A mirror grows by order, while both elements are the same; its new part is dirty before it counts.',
  'lineage.union': 'A partial copy covers what either side may hold differently.',
  'lineage.mint': 'Before completing what the other element may lack, the element durably holds a new generation.',
  'lineage.adopt': 'A target takes over the lineage of its source only when the resync is complete and durable.',
  'lineage.epoch': 'A frame of an older epoch is refused and its sender stops serving.',

  'resync.begin': 'A target is durably inconsistent before its first resync write.',
  'resync.newer': 'A resync write never overwrites a newer application write.',
  'resync.progress': 'A resync goes on from where it was.',
  verify:
    'Both elements are compared at one place of the stream, so that writes make no findings; what differs is dirty, and repaired only if asked.',
  'resync.undo': 'Where there is an undo journal, what a resync overwrites is durable in it first, and a target can be rolled back.',
  'resync.target': 'The target of an unfinished resync is never served automatically.',

  alone: 'A serving node goes on without its peer only when the peer is durably outdated, or by the configured policy.',
  'serve.fresh': 'The loss of the data link permits no completion by itself.',
  'serve.lease': 'Replies are sent only while there is fresh evidence of ownership.',
  outdate: 'Outdating and takeover intent are serialised: the first durable one wins.',
  'arbiter.cas': 'An arbiter grants an epoch by compare-and-set.',

  'watch.token': 'At each interval a token goes out on every monitor link.',
  'watch.all': 'A node is down only when every link is silent beyond the deadline.',
  'watch.pause': 'The own pause of the monitor is not silence of the peer.',
  'watch.start': 'No verdict before the initial grace, and none about a peer never seen.',
  'watch.live': 'Interval, deadline and control change while it runs.',

  'takeover.auto': 'Automatic takeover needs control auto and a monitor that is not paused.',
  'takeover.dead': 'A takeover needs the verdict that the peer is down.',
  'takeover.uptodate': 'A takeover needs an uptodate element of every mirror.',
  'takeover.verified': 'A takeover needs elements without open verify findings.',
  'takeover.arbiter': 'A takeover needs the grant of the arbiter.',
  'takeover.fence': 'A takeover needs the success of the fence.',
  'takeover.seal': 'The target stops receiving before its element is judged.',
  'takeover.commit': 'One atomic write of the pair record is the commit of a takeover.',
  'takeover.unfenced': 'Automatic takeover without arbiter and fence can make two owners when every link is cut.',

  handover: 'The giver durably releases before the taker serves.',
  'recover.ready': 'A recovery needs the home primary reachable, healthy and of the same lineage.',

  'boot.equal': 'Equal pair records: the owner serves, the other is passive.',
  'boot.higher': 'The higher epoch wins and is written by the other.',
  'boot.conflict': 'One epoch number with two owners: neither serves.',
  'boot.arbiter': 'An epoch of the arbiter above both records makes its grantee proceed by takeover.commit.',
  'boot.intent': 'A peer with an intent is waited for.',
  'boot.norecord': 'A node without a pair record never serves without its peer.',
  'boot.alone': 'A node whose peer is unreachable serves only as last owner, by policy, arbiter or operator.',
  'boot.uptodate': 'Serving needs a local uptodate element of every mirror.',

  'timing.deadline': 'The deadline is at least two intervals and a round trip.',
  'timing.grace': 'The initial grace is at least two deadlines.',
  'timing.lease': 'The lease ends before the takeover deadline of the peer.',

  trust: 'Nothing beyond loopback without authentication and encryption.',
} as const;

/** The name of a rule. */
export type Rule = keyof typeof sentences;

/** All rules with their sentences. */
export const rules: Readonly<Record<Rule, string>> = sentences;

/** A decision with its grounds: what was decided, by which rule, and what the rule saw. */
export interface Decision {
  readonly allowed: boolean;
  /** The rule that refused, or the one that allowed. */
  readonly rule: Rule;
  /** What the rule saw, in words. */
  readonly because: string;
  /** What the rule saw, as plain data. */
  readonly evidence: Readonly<Record<string, unknown>>;
}
