import type { Annotation } from './annotation.ts';

/** One annotation before and after; `null`: it was not there, or is not. */
export interface Change {
  readonly before: Annotation | null;
  readonly after: Annotation | null;
}

/** What one gesture or key does: one step of undo. Plain data, so that the journal can keep it. */
export interface Command {
  /** For people: "Delete person". */
  readonly name: string;
  readonly changes: readonly Change[];
}

/** Annotations, and what was done with them. A value: each step makes another one. */
export interface History {
  readonly annotations: readonly Annotation[];
  readonly commands: readonly Command[];
  /** Commands that hold; those after are undone. */
  readonly done: number;
}

export function historyOf(annotations: readonly Annotation[]): History {
  return { annotations, commands: [], done: 0 };
}

/** Does a command. What was undone is gone. A command without changes is none. */
export function perform(history: History, command: Command): History {
  if (command.changes.length === 0) {
    return history;
  }
  return {
    annotations: applied(history.annotations, command.changes),
    commands: [...history.commands.slice(0, history.done), command],
    done: history.done + 1,
  };
}

export function undo(history: History): History {
  const command = history.commands[history.done - 1];
  if (!command) {
    return history;
  }
  const back = command.changes.toReversed().map(({ before, after }) => ({ before: after, after: before }));
  return { ...history, annotations: applied(history.annotations, back), done: history.done - 1 };
}

export function redo(history: History): History {
  const command = history.commands[history.done];
  if (!command) {
    return history;
  }
  return { ...history, annotations: applied(history.annotations, command.changes), done: history.done + 1 };
}

/** The command that undo would take back, and the one that redo would do. */
export function around(history: History): { readonly last: Command | undefined; readonly next: Command | undefined } {
  return { last: history.commands[history.done - 1], next: history.commands[history.done] };
}

/** In the order of ids, so that undo and redo give the very same list. */
function applied(annotations: readonly Annotation[], changes: readonly Change[]): readonly Annotation[] {
  const byId = new Map(annotations.map((annotation) => [annotation.id, annotation]));
  for (const { before, after } of changes) {
    if (after !== null) {
      byId.set(after.id, after);
    } else if (before !== null) {
      byId.delete(before.id);
    }
  }
  return [...byId.values()].toSorted((one, other) => one.id - other.id);
}
