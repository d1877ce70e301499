// Changes of the text: what the network wrote, one symbol of it, a branch, or another number.
import { branchedText, type BranchRow, idOfSymbol, writtenText } from '../model/continuation'
import { isSameBranch, MAX_BRANCHES } from './branch-address'
import type { Explorer } from './explorer.svelte'

/** Put what the network wrote behind the text, or its first symbols; the caret goes behind them. */
export function takeWritten(explorer: Explorer, count: number | null = null): boolean {
  const { run, text } = explorer
  const { ghost } = explorer.writing
  if (!ghost || !run) return false
  const { trace } = ghost.continuation
  const last = count === null ? trace.steps : ghost.skip + count
  return append(explorer, writtenText(run, trace.token.subarray(ghost.skip, last), text))
}

/** Put the most probable symbol behind the text. */
export function takeNext(explorer: Explorer): boolean {
  const { run, text } = explorer
  const { next } = explorer.writing
  return next !== null && run !== null && append(explorer, writtenText(run, [next], text))
}

/** Put symbols or words behind the text. */
export function append(explorer: Explorer, written: string): boolean {
  const { text } = explorer
  if (written) explorer.type(text + written, text.length + written.length)
  return written !== ''
}

/** Begin a branch of the text after a step, or remove it if it is there. */
export function toggleBranch(explorer: Explorer, step: number, symbol: string): void {
  const { run, state } = explorer
  const branch = { step, symbol }
  const others = state.branches.filter((other) => !isSameBranch(other, branch))
  if (others.length < state.branches.length) return explorer.go({ branches: others })
  if (!run || idOfSymbol(run, symbol) < 0) return
  // An address that forbids to write forbids branches too, until a reader asks for one.
  const allowed = state.write === 0 ? { write: null } : {}
  explorer.go({ branches: [...others, branch].slice(-MAX_BRANCHES), ...allowed })
}

/** Put a branch into the text, in place of what follows its step there. */
export function takeBranch(explorer: Explorer, row: BranchRow): void {
  const { run, picture, text } = explorer
  if (run && picture) explorer.type(branchedText(text, picture.trace.labels, run.unit, row), null)
}

/** Change a number of the text; the changes of one point are one step of the browser's history. */
export function editNumbers({ navigation, text }: Explorer, changed: string): void {
  if (changed !== text) navigation.changeText(changed, true)
}
