// What the names of shared files and the captions of figures say: run, layer, signal, version, seed, weights and text.
import type { Hold } from '../data/view'
import type { Layer, Run } from '../data/run'
import { text } from '../messages/text'
import { oneLine } from './characters'
import { holdText } from './holds'

/** What is on the screen, as far as it is shared. */
export interface SharedView {
  run: Run
  /** The version of gatescope. */
  version: string
  layer: Layer | null
  signal: { name: string; title: string } | null
  /** The neuron whose signals are shown; null for a page about several neurons. */
  neuron: number | null
  /** The training step of the weights; null for the best ones. */
  checkpoint: number | null
  /** The training step of these weights. */
  step: number
  text: string
  holds: readonly Hold[]
  /** What else is on the screen, such as a comparison and branches: a part of the file name, and a paragraph. */
  also: readonly { name: string; caption: string }[]
}

const MAX_NAME_PART = 24
const MAX_NAME = 150
const MAX_CAPTION_TEXT = 80

/** Return a text as a part of a file name: letters, digits and dots, with one hyphen for everything else. */
export function safePart(words: string, most = MAX_NAME_PART): string {
  const safe = words
    .normalize('NFC')
    .replace(/[^\p{L}\p{M}\p{N}.]+/gu, '-')
    .replace(/\.{2,}/g, '.')
  return [...safe]
    .slice(0, most)
    .join('')
    .replace(/^[-.]+|[-.]+$/g, '')
}

/** Return the name of a shared file without its suffix. */
export function shareName(view: SharedView, figure: string): string {
  const { run, version, layer, signal, neuron, step, holds, also } = view
  const parts = [
    'gatescope',
    version,
    safePart(run.name, 40),
    ...(layer ? [layer.name] : []),
    ...(signal ? [safePart(signal.name)] : []),
    ...(neuron === null ? [] : [`neuron-${neuron}`]),
    figure,
    `step-${step}`,
    ...(run.seed === null || run.seed === undefined ? [] : [`seed-${run.seed}`]),
    ...(holds.length ? [`${holds.length}-held`] : []),
    ...also.map(({ name }) => name),
    safePart(view.text),
  ]
  return parts.filter(Boolean).join('_').slice(0, MAX_NAME)
}

/** Return a text as a caption has it: on one line, and cut if it is long. */
export function captionText(words: string): string {
  const shown = [...oneLine(words)]
  return shown.length > MAX_CAPTION_TEXT ? `${shown.slice(0, MAX_CAPTION_TEXT).join('')}…` : shown.join('')
}

/** Return the caption of a figure, paragraph by paragraph; `what` is what its title does not say. */
export function captionOf(view: SharedView, what: string | null): string[] {
  const { run, version, checkpoint, step, holds } = view
  const cut = captionText(view.text)
  const seed = run.seed ?? null
  const weights = checkpoint === null ? text('SHARE_CAPTION_BEST', { step }) : text('SHARE_CAPTION_STEP', { step })
  return [
    ...(what === null ? [] : [what]),
    text('SHARE_CAPTION_RUN', { run: run.name, cell: run.cell.title, task: run.task.title, weights }),
    seed === null
      ? text('SHARE_CAPTION_VERSION', { version })
      : text('SHARE_CAPTION_SEED', { version, seed: String(seed) }),
    ...(cut ? [text('SHARE_CAPTION_TEXT', { text: cut })] : []),
    ...(holds.length
      ? [text('SHARE_CAPTION_HOLDS', { holds: holds.map((hold) => holdText(hold, run.layers)).join(' · ') })]
      : []),
    ...view.also.map(({ caption }) => caption),
  ]
}
