// What the names and captions of shared figures say of the screen, beside the run: a comparison, and what the network writes.
import type { Beside } from '../data/view'
import { text } from '../messages/text'
import { glyph } from '../model/characters'
import { captionText, safePart, type SharedView } from '../model/share-names'
import { sideNames } from './beside'
import type { Explorer } from './explorer.svelte'
import { DEFAULT_LENGTH } from './writing-settings'

/** Return what the page shows; null without a run. */
export function sharedView(explorer: Explorer): SharedView | null {
  const { run, picture, state, shownSignal } = explorer
  if (!run) return null
  const onNetwork = state.view === 'network' || state.view === 'neuron'
  return {
    run,
    version: explorer.list?.version ?? '',
    layer: state.view === 'learning' ? null : (picture?.layer ?? explorer.layer),
    signal: onNetwork && state.view === 'network' ? shownSignal : null,
    neuron: state.view === 'neuron' ? state.neuron : null,
    checkpoint: onNetwork ? (picture?.checkpoint ?? null) : state.checkpoint,
    step: onNetwork ? (picture?.trace.step ?? run.step) : (state.checkpoint ?? run.step),
    text: state.view === 'learning' || state.view === 'health' ? '' : (picture?.text ?? explorer.text),
    holds: onNetwork ? (picture?.holds ?? []) : [],
    also:
      state.view === 'network'
        ? [...compared(explorer), ...held(explorer), ...scaled(explorer), ...continued(explorer)]
        : [],
  }
}

type Also = SharedView['also'][number]

/** Return the part of a file name for what stands beside the network. */
function besideName(beside: Beside): string {
  if (beside.kind === 'run') return safePart(beside.name)
  if (beside.kind === 'checkpoint') return beside.step === null ? 'best' : `step-${beside.step}`
  return beside.kind === 'text' ? `text-${safePart(beside.text)}` : 'free'
}

function compared({ state }: Explorer): Also[] {
  if (!state.beside) return []
  const { a, b } = sideNames(state)
  const isText = state.beside.kind === 'text'
  const caption = isText
    ? text('SHARE_CAPTION_BESIDE_TEXT', { text: captionText((state.beside as { text: string }).text) })
    : text('SHARE_CAPTION_BESIDE', { a, b })
  return [{ name: `vs_${besideName(state.beside)}`, caption }]
}

/** Return what the holds are compared with, if that is a set of holds. */
function held({ state, picture }: Explorer): Also[] {
  if (state.against === null || state.beside || !picture?.original) return []
  const caption = text('SHARE_CAPTION_AGAINST', { name: state.against })
  return [{ name: `vs_${safePart(state.against)}`, caption }]
}

/** Return that each neuron has a colour scale of its own, if so. */
const scaled = ({ scales }: Explorer): Also[] =>
  scales.areOwn ? [{ name: 'own-scales', caption: text('SHARE_CAPTION_SCALE') }] : []

function continued({ state, writing }: Explorer): Also[] {
  const { ghost, branches, settings } = writing
  if (state.beside || (!ghost && !branches.length)) return []
  const also: Also[] = []
  const { temperature, seed, length } = settings
  const drawn = temperature === 0 ? '' : `-temperature-${temperature}-seed-${seed}`
  const how = temperature === 0 ? text('SHARE_WRITTEN_SUREST') : text('SHARE_WRITTEN_DRAWN', { temperature, seed })
  if (ghost) {
    // The file name leaves out what is written without any choice.
    const isUsual = temperature === 0 && length === DEFAULT_LENGTH
    const words = captionText(ghost.continuation.text)
    also.push({
      name: isUsual ? '' : `writes-${length}${drawn}`,
      caption: text('SHARE_CAPTION_WRITTEN', { text: words, how }),
    })
  }
  for (const { branch, continuation } of branches) {
    const { step } = branch
    const values = { step, symbol: glyph(branch.symbol).text, text: captionText(continuation.text), how }
    also.push({ name: `branch-${step}-${safePart(branch.symbol)}`, caption: text('SHARE_CAPTION_BRANCH', values) })
  }
  return also
}
