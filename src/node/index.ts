/**
 * One node of a pair, assembled from a configuration file: what `hotmirror run` runs, for products that embed it.
 *
 * @packageDocumentation
 */
export { HotMirrorNode } from './hotmirror-node.ts';
