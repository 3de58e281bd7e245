import type { EventBase } from '../events.ts';
import type { MirrorThreadEvent } from './mirror-messages.ts';
import { serverChanged } from './mirror-messages.ts';
import type { ElementServer } from './server-news.ts';

/** What the events of a mirror say of it that its state does not. */
export class MirrorFacts {
  /** By which others can use it now; null while they cannot. */
  exportUri: string | null = null;
  /** Why its export is not there, or could not be if the mirror were served; null: nothing is known against it. */
  exportProblem: { readonly text: string; readonly whileServing: boolean } | null = null;
  /** Why this node's element failed; null where it has not, or had when the mirror was opened. */
  elementProblem: string | null = null;
  /** What became of the NBD server behind this node's element; null where there is none, or nothing has happened to it. */
  elementServer: ElementServer | null = null;

  /** Takes an event. */
  note({ name, payload }: MirrorThreadEvent): void {
    const { text = '', class: eventClass, evidence } = payload as Partial<EventBase>;
    switch (name) {
      case serverChanged:
        this.elementServer = payload as ElementServer;
        return;
      case 'export:failed':
        this.exportProblem = { text, whileServing: eventClass === 3 };
        return;
      case 'export:opened':
        this.exportUri = String(evidence?.['uri']);
        this.exportProblem = null;
        return;
      case 'export:ready':
        this.exportProblem = null;
        return;
      case 'export:closed':
        this.exportUri = null;
        return;
      case 'element:failed':
        this.elementProblem ??= text;
    }
  }

  /** The thread has ended unasked: nothing of it is there any more. */
  threadEnded(because: string): void {
    this.exportUri = null;
    this.elementServer = null;
    this.elementProblem ??= because;
  }
}
