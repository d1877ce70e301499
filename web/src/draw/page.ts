// Draws a text as a page: lines of characters on the colours of the values of a neuron, in a pane for each neuron.
import type { Track } from '../data/features'
import type { Range } from '../data/view'
import { type PageLines, stepsOfLine } from '../model/page-lines'
import { clipped, type Scale } from '../model/scale'
import { drawCellBlock } from './cells'
import { fitText } from './fit-text'
import { MONO, SANS } from './geometry'
import { bandTop, MARK_SHARE, type PageGeometry } from './page-geometry'
import { NONE, type Palette } from './palette'
import { hatchPattern, noDataPattern } from './patterns'
import { placeWindow, type Window } from './scene'
import type { Sprites } from './sprites'

type Pen = CanvasRenderingContext2D

export interface PagePane {
  neuron: number
  values: Float32Array
  scale: Scale
  /** The steps at which the values are held. */
  held: readonly Range[]
}

export interface PageScene {
  geometry: PageGeometry
  lines: PageLines
  palette: Palette
  /** Characters of one column, and of two. */
  sprites: Sprites
  wideSprites: Sprites
  labels: readonly string[]
  /** 1 for steps whose symbol the network does not know. */
  unknown: Uint8Array
  panes: PagePane[]
  track: Track | null
  range: Range | null
}

export type PageWindow = Omit<Window, 'left'>

/**
 * Draw the part of a page that is in sight.
 *
 * @param part the upper and the lower edge of the part that changed, in CSS pixels of the window; all of it by default
 */
export function drawPage(pen: Pen, scene: PageScene, view: PageWindow, part = { from: 0, to: view.height }): void {
  const { geometry: g, lines } = scene
  placeWindow(pen, view)
  pen.save()
  pen.beginPath()
  pen.rect(0, part.from, view.width, part.to - part.from)
  pen.clip()
  pen.fillStyle = scene.palette.theme.paper
  pen.fillRect(0, part.from, view.width, part.to - part.from)
  const first = Math.max(0, Math.floor((view.top + part.from) / g.pitch))
  const end = Math.min(lines.first.length, Math.ceil((view.top + part.to) / g.pitch))
  if (end > first) drawPanes(pen, scene, first, end, view)
  pen.restore()
}

/**
 * Scroll a page that is drawn already: its picture moves, and only the part that comes into sight is drawn.
 *
 * @param by how far it is scrolled since it was drawn, in CSS pixels; a whole number of pixels of the screen
 */
export function scrollPage(pen: Pen, scene: PageScene, view: PageWindow, by: number): void {
  pen.setTransform(1, 0, 0, 1, 0, 0)
  pen.drawImage(pen.canvas, 0, -by * view.ratio)
  const part = by > 0 ? { from: view.height - by, to: view.height } : { from: 0, to: -by }
  drawPage(pen, scene, view, part)
}

function drawPanes(pen: Pen, scene: PageScene, first: number, end: number, view: PageWindow): void {
  const { geometry: g } = scene
  scene.panes.forEach((pane, k) => {
    drawColours(pen, scene, pane, k, first, end, view.top)
    drawMarks(pen, scene, pane, k, first, end, view.top)
    if (g.font) drawLetters(pen, scene, pane, k, first, end, view)
    if (scene.track) drawTrack(pen, scene, scene.track, k, first, end, view.top)
    drawGutter(pen, scene, pane, k, first, end, view.top)
    for (const held of pane.held) outline(pen, scene, k, held, scene.palette.theme.held, first, end, view.top)
    if (scene.range) drawRange(pen, scene, scene.range, k, first, end, view.top)
  })
}

/** Draw the colours of the visible lines of a pane: one pixel a cell, copied in one piece a line. */
function drawColours(
  pen: Pen,
  scene: PageScene,
  pane: PagePane,
  k: number,
  first: number,
  end: number,
  top: number,
): void {
  const { geometry: g, lines, palette } = scene
  const columns = Math.max(1, lines.columns)
  const pixels = new Uint32Array(columns * (end - first))
  const { from } = stepsOfLine(lines, first)
  const { to } = stepsOfLine(lines, end - 1)
  for (let t = from; t < to; t++) {
    if (lines.mark[t]) continue
    const colour = palette.rgba[palette.level(pane.scale, pane.values[t]!)]!
    const at = (lines.line[t]! - first) * columns + lines.column[t]!
    for (let c = 0; c < lines.span[t]!; c++) pixels[at + c] = colour
  }
  drawCellBlock(pen, {
    columns,
    rows: end - first,
    colours: pixels,
    x: g.left[k]!,
    y: bandTop(g, first, k) - top,
    cell: g.cell,
    height: g.band,
    pitch: g.pitch,
    gap: null,
  })
}

/** Hatch clipped values, dot missing ones, and give combining marks their share of the foot of their character. */
function drawMarks(
  pen: Pen,
  scene: PageScene,
  pane: PagePane,
  k: number,
  first: number,
  end: number,
  top: number,
): void {
  const { geometry: g, lines, palette } = scene
  const [hatch, dots] = [hatchPattern(pen), noDataPattern(pen)]
  const { to } = stepsOfLine(lines, end - 1)
  for (let t = stepsOfLine(lines, first).from; t < to; t++) {
    const value = pane.values[t]!
    const style = Number.isNaN(value) ? dots : pane.scale.open && clipped(pane.scale, value) ? hatch : null
    if (!style && !lines.mark[t]) continue
    let [x, y] = [g.left[k]! + lines.column[t]! * g.cell, bandTop(g, lines.line[t]!, k) - top]
    let [width, height] = [lines.span[t]! * g.cell, g.band]
    if (lines.mark[t]) {
      let last = t
      while (last + 1 < to && lines.mark[last + 1]! > 1) last++
      width /= lines.mark[last]!
      x += (lines.mark[t]! - 1) * width
      height = g.band * MARK_SHARE
      y += g.band - height
      const level = palette.level(pane.scale, value)
      pen.fillStyle = level === NONE ? palette.theme.paper : `#${colourText(palette.rgba[level]!)}`
      pen.fillRect(x, y, width, height)
    }
    if (!style) continue
    pen.save()
    pen.translate(x, y)
    pen.fillStyle = style
    pen.fillRect(0, 0, width, height)
    pen.restore()
  }
}

/** Print a colour 0xAABBGGRR as rrggbb. */
function colourText(rgba: number): string {
  return [rgba & 255, (rgba >> 8) & 255, (rgba >> 16) & 255].map((part) => part.toString(16).padStart(2, '0')).join('')
}

function drawLetters(
  pen: Pen,
  scene: PageScene,
  pane: PagePane,
  k: number,
  first: number,
  end: number,
  view: PageWindow,
): void {
  const { geometry: g, lines, palette, labels } = scene
  const { theme } = palette
  const { to } = stepsOfLine(lines, end - 1)
  for (let t = stepsOfLine(lines, first).from; t < to; t++) {
    const printed = lines.printed[t]!
    if (!printed) continue
    const level = palette.level(pane.scale, pane.values[t]!)
    const ink = scene.unknown[t] ? theme.warn : level === NONE ? theme.ink : palette.letters[level]!
    const x = g.left[k]! + lines.column[t]! * g.cell
    const y = bandTop(g, lines.line[t]!, k) - view.top
    const columns = labels[t] === '\t' ? 1 : lines.span[t]!
    if (columns > 2) {
      pen.font = `${g.font - 1}px ${SANS}`
      pen.fillStyle = ink
      pen.textAlign = 'left'
      pen.textBaseline = 'middle'
      pen.fillText(fitText(pen, printed, columns * g.cell), x + 1, y + g.band / 2 + 0.5)
      continue
    }
    const isAlone = t + 1 >= to || !lines.mark[t + 1]
    const sprites = columns === 2 ? scene.wideSprites : scene.sprites
    const label = isAlone ? labels[t]! : printed
    const width = columns * g.cell
    const cells = { font: g.font, width, height: g.band, pitch: width, ratio: view.ratio }
    sprites.line(label, [label], cells).draw(pen, 0, 1, ink, x, y)
  }
}

/** Draw a feature under the characters: a bar where it is on, or as high as its value. */
function drawTrack(pen: Pen, scene: PageScene, track: Track, k: number, first: number, end: number, top: number): void {
  const { geometry: g, lines, palette } = scene
  const full = g.track - 1
  const { to } = stepsOfLine(lines, end - 1)
  pen.fillStyle = palette.theme.accent
  for (let t = stepsOfLine(lines, first).from; t < to; t++) {
    const value = track.values[t] ?? NaN
    if (!(value > 0) || lines.mark[t]) continue
    const height = track.kind === 'binary' ? full : Math.max(1, (value / track.most) * full)
    const bottom = bandTop(g, lines.line[t]!, k) + g.band + full - top
    pen.fillRect(g.left[k]! + lines.column[t]! * g.cell, bottom - height, lines.span[t]! * g.cell, height)
  }
}

/** Print the first step of each line beside it; where panes stand one below the other, the neuron. */
function drawGutter(
  pen: Pen,
  scene: PageScene,
  pane: PagePane,
  k: number,
  first: number,
  end: number,
  top: number,
): void {
  const { geometry: g, lines, palette } = scene
  if (!g.font) return
  pen.textAlign = 'right'
  pen.textBaseline = 'middle'
  pen.font = `10px ${MONO}`
  pen.fillStyle = palette.theme.mute
  for (let line = first; line < end; line++) {
    const printed = String(g.stacked ? pane.neuron : lines.first[line]!)
    pen.fillText(printed, g.left[k]! - 7, bandTop(g, line, k) - top + g.band / 2 + 0.5, g.gutter - 8)
  }
}

/** Return the parts of a range on the visible lines: the line, and its first and last column. */
function partsOf(
  lines: PageLines,
  range: Range,
  first: number,
  end: number,
): { line: number; from: number; to: number }[] {
  const parts: { line: number; from: number; to: number }[] = []
  for (let line = first; line < end; line++) {
    const { from, to } = stepsOfLine(lines, line)
    const [start, last] = [Math.max(from, range.first), Math.min(to - 1, range.last)]
    if (start > last) continue
    parts.push({ line, from: lines.column[start]!, to: lines.column[last]! + lines.span[last]! })
  }
  return parts
}

function outline(
  pen: Pen,
  scene: PageScene,
  k: number,
  range: Range,
  style: string,
  first: number,
  end: number,
  top: number,
): void {
  const { geometry: g, lines } = scene
  pen.strokeStyle = style
  pen.lineWidth = 2
  for (const { line, from, to } of partsOf(lines, range, first, end))
    pen.strokeRect(g.left[k]! + from * g.cell + 1, bandTop(g, line, k) - top + 1, (to - from) * g.cell - 2, g.band - 2)
}

function drawRange(pen: Pen, scene: PageScene, range: Range, k: number, first: number, end: number, top: number): void {
  const { geometry: g, lines, palette } = scene
  pen.fillStyle = palette.theme.accent
  for (const { line, from, to } of partsOf(lines, range, first, end)) {
    const [x, y] = [g.left[k]! + from * g.cell, bandTop(g, line, k) - top]
    pen.fillRect(x, y - 1, (to - from) * g.cell, 1.5)
    pen.fillRect(x, y + g.band - 1, (to - from) * g.cell, 2)
  }
}
