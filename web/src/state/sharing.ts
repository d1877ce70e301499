// What the dialog "Share" makes: pictures, tables, lines of Python, and the link.
import type { TraceRequest } from '../data/source'
import type { Range } from '../data/view'
import { drawFigure, type Figure, type FigurePart, layoutFigure } from '../draw/figure'
import type { Scope } from '../draw/strips-part'
import { SvgPen } from '../draw/svg-pen'
import { text } from '../messages/text'
import { type CsvColumn, csvPieces, type CsvValue } from '../model/csv'
import { continuationLines } from '../model/python-figures'
import { arrayLines } from '../model/python-lines'
import { MAX_TABLE_VALUES, signalColumns, stepColumns } from '../model/share-columns'
import { captionOf, type SharedView, shareName } from '../model/share-names'
import { toAddress } from './address'
import { addressBar } from './address-bar'
import { chartMarkup, chartSize } from './chart-markup'
import type { Explorer } from './explorer.svelte'
import { type SharedFigure, tableFigure } from './figures.svelte'
import { MAX_ADDRESS_CHARACTERS } from './long-texts'
import { sharedView } from './shared-view'
import { theme } from './theme.svelte'

const PICTURE_RATIO = 2
/** What browsers can draw on one canvas, in pixels. */
const MAX_CANVAS_SIDE = 16_000
const MAX_CANVAS_PIXELS = 120_000_000
/** A larger drawing would take a reader's program minutes to open. */
const MAX_SVG_CHARACTERS = 60_000_000
const PAUSE_MS = 30

/** Something that cannot be shared, with a sentence for the reader. */
export class ShareError extends Error {}

/** Return the name of a file, with its suffix. */
export function fileName(explorer: Explorer, id: string, suffix: string): string {
  const view = sharedView(explorer)
  return `${view ? shareName(view, id) : 'gatescope'}.${suffix}`
}

/** Return the address of the view, which the browser shows a moment later. */
export const viewAddress = (explorer: Explorer): string => toAddress(explorer.state) || location.pathname

/** Return the link to the view, empty if the page has no address, and whether it holds the text. */
export function shareLink(explorer: Explorer): { link: string; hasText: boolean } {
  return {
    link: addressBar.now.link(toAddress(explorer.state)),
    hasText: (explorer.state.text ?? '').length <= MAX_ADDRESS_CHARACTERS,
  }
}

/** Return which part of a trace a figure shows, in one sentence; null for another figure. */
function whatText(view: SharedView, figure: SharedFigure, scope: Scope): string | null {
  const shown = figure.shown?.(scope)
  if (!shown || !view.layer) return null
  const { first, last } = shown.steps
  const values = { figure: figure.name, layer: view.layer.name, first, last }
  return text('SHARE_CAPTION_PART', values)
}

/** Return a figure with its caption. Throws a ShareError if the part is empty. */
function captioned(explorer: Explorer, shared: SharedFigure, scope: Scope): { figure: Figure; element: boolean } {
  const view = sharedView(explorer)
  const part = shared.part(scope)
  if (!part) throw new ShareError(text('SHARE_NOTHING'))
  const signal = view?.signal
  const title = signal
    ? text('SHARE_TITLE_SIGNAL', { signal: signal.name, title: signal.title, run: view.run.name })
    : text('SHARE_TITLE', { figure: shared.name, run: view?.run.name ?? '' })
  const isElement = part instanceof SVGSVGElement
  const drawn: FigurePart = isElement
    ? { ...chartSize(part), draw: (pen, x, y) => (pen as unknown as SvgPen).embed(chartMarkup(part), x, y) }
    : part
  const caption = view ? captionOf(view, whatText(view, shared, scope)) : []
  return { figure: { part: drawn, theme: theme.now, scale: shared.scale, title, caption }, element: isElement }
}

function canvasPen(): CanvasRenderingContext2D {
  const pen = document.createElement('canvas').getContext('2d')
  if (!pen) throw new ShareError(text('SHARE_NO_CANVAS'))
  return pen
}

/** Return a figure as SVG. Throws a ShareError if it is too large. */
export function figureSvg(explorer: Explorer, shared: SharedFigure, scope: Scope): string {
  const { figure } = captioned(explorer, shared, scope)
  const ruler = canvasPen()
  const pen = new SvgPen(ruler)
  const layout = layoutFigure(ruler, figure)
  drawFigure(pen.vector, figure, layout, 1)
  const svg = pen.document(layout.width, layout.height, figure.title, figure.caption.join('\n'))
  if (svg.length > MAX_SVG_CHARACTERS) throw new ShareError(text('SHARE_TOO_LARGE'))
  return svg
}

/** Return a figure as PNG with two pixels for each of the page. Throws a ShareError if it is too large. */
export async function figurePng(explorer: Explorer, shared: SharedFigure, scope: Scope): Promise<Blob> {
  const { figure, element } = captioned(explorer, shared, scope)
  const pen = canvasPen()
  const layout = layoutFigure(pen, figure)
  const [width, height] = [Math.ceil(layout.width * PICTURE_RATIO), Math.ceil(layout.height * PICTURE_RATIO)]
  if (Math.max(width, height) > MAX_CANVAS_SIDE || width * height > MAX_CANVAS_PIXELS)
    throw new ShareError(text('SHARE_TOO_LARGE'))
  Object.assign(pen.canvas, { width, height })
  if (element) {
    const image = new Image()
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(figureSvg(explorer, shared, scope))}`
    await image.decode()
    pen.drawImage(image, 0, 0, width, height)
  } else drawFigure(pen, figure, layout, PICTURE_RATIO)
  return new Promise((resolve, reject) =>
    pen.canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new ShareError(text('SHARE_NO_CANVAS')))), 'image/png'),
  )
}

/** Return a table as CSV; the page stays usable meanwhile. */
export async function csvBlob(columns: readonly CsvColumn[]): Promise<Blob> {
  const pieces: string[] = []
  let paused = performance.now()
  for (const piece of csvPieces(columns)) {
    pieces.push(piece)
    if (performance.now() - paused < PAUSE_MS) continue
    await new Promise((resume) => setTimeout(resume))
    paused = performance.now()
  }
  return new Blob(pieces, { type: 'text/csv;charset=utf-8' })
}

/** Return the number of values of a table. */
export const valuesOf = (columns: readonly CsvColumn[]): number => columns.reduce((sum, { length }) => sum + length, 0)

/** Return the steps of a scope of the text on the screen. */
export function stepsOf(explorer: Explorer, scope: Scope): Range {
  return scope === 'range' && explorer.range ? explorer.range : { first: 0, last: explorer.steps - 1 }
}

/** Return the number of values of all signals of the layer. */
export function layerValues(explorer: Explorer, scope: Scope): number {
  const { first, last } = stepsOf(explorer, scope)
  const { picture } = explorer
  return picture ? picture.layer.signals.length * picture.layer.neurons * (last + 1 - first) : 0
}

/** Return all signals of the layer over some steps as columns. Throws a ShareError if there are too many values. */
export async function layerColumns(explorer: Explorer, scope: Scope): Promise<CsvColumn[]> {
  const { picture } = explorer
  if (!picture) throw new ShareError(text('SHARE_NOTHING'))
  if (layerValues(explorer, scope) > MAX_TABLE_VALUES)
    throw new ShareError(text('SHARE_TABLE_TOO_LARGE', { most: MAX_TABLE_VALUES }))
  const { run, layer, checkpoint, holds } = picture
  const signals = layer.signals.map(({ name }) => name)
  const request: TraceRequest = {
    text: picture.text,
    layer: layer.name,
    signals,
    neurons: null,
    drives: false,
    top: 1,
    checkpoint,
  }
  const trace = picture.whole
    ? picture.trace
    : await explorer.source.trace(run.name, holds.length ? { ...request, holds } : request)
  const steps = stepsOf(explorer, scope)
  return [...stepColumns(run, trace, steps), ...signalColumns(trace, layer.name, signals, steps)]
}

/** Return the symbols behind the text and in its branches as a table that can be shared; null if there are none. */
export function writtenFigure({ picture, shownSignal, writing, state }: Explorer): SharedFigure | null {
  const { ghost, branches, settings } = writing
  if (!picture || !shownSignal || state.view !== 'network' || state.beside || (!ghost && !branches.length)) return null
  const name = `${picture.layer.name}.${shownSignal.name}`
  const rows = [
    ...(ghost ? [{ ...ghost, part: 'text' }] : []),
    ...branches.map((row) => ({ ...row, part: `${row.branch.step}:${row.branch.symbol}` })),
  ].flatMap(({ continuation, skip, from, part }) =>
    continuation.trace.labels
      .slice(skip)
      .map((symbol, k) => ({ continuation, part, symbol, at: skip + k, step: from + k })),
  )
  const column = (title: string, value: (row: (typeof rows)[number]) => CsvValue): CsvColumn => ({
    name: title,
    length: rows.length,
    value: (k) => value(rows[k]!),
  })
  const neurons = Array.from({ length: picture.layer.neurons }, (_, n) =>
    column(`${name}.${n}`, ({ continuation, at }) => continuation.trace.row(name, n)?.[at] ?? null),
  )
  return tableFigure({
    id: 'continuation',
    name: text('SHARE_CONTINUATION'),
    columns: () => [
      column('after', ({ part }) => part),
      column('step', ({ step }) => step),
      column('symbol', ({ symbol }) => symbol),
      column('log_probability', ({ continuation, at }) => continuation.logProbabilities[at] ?? null),
      ...neurons,
    ],
    lines: () => continuationLines(picture, shownSignal.name, picture.holds, settings, { ghost, branches }),
  })
}

/** Return the lines of Python that give the values of a figure; null if it shows no signal. */
export function figureLines(explorer: Explorer, shared: SharedFigure | null, scope: Scope): string | null {
  if (shared?.lines) return shared.lines(scope)
  const { picture, shownSignal, state, steps } = explorer
  if (!picture || !shownSignal || !steps || (state.view !== 'network' && state.view !== 'neuron')) return null
  const shown = shared?.shown?.(scope) ?? { steps: { first: 0, last: steps - 1 }, neurons: null }
  const isWhole = shown.steps.first === 0 && shown.steps.last === steps - 1
  const signal = explorer.signal?.name ?? shownSignal.name
  return arrayLines(picture, {
    layer: picture.layer.name,
    signal,
    steps: isWhole ? null : shown.steps,
    neurons: shown.neurons,
  })
}

/** Save a file. */
export function save(content: Blob, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(content)
  link.download = name
  document.body.append(link)
  link.click()
  link.remove()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}

/** Put a text on the clipboard. Returns false if the browser does not allow it. */
export async function copyText(words: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(words)
    return true
  } catch {
    return false
  }
}
