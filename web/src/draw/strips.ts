// Draws the strips on one canvas: only what is in sight, one lookup per cell.
import { clipped, position, type Scale } from '../model/scale'
import { drawCellBlock } from './cells'
import { drawCharts, drawHeat, drawLine } from './charts'
import { drawClassProbabilities, drawClassBands } from './class-bands'
import type { Band } from './geometry'
import { drawBranches, drawGhostBars, drawGhostCells } from './ghost'
import { drawHeaderLabels } from './header-labels'
import { drawGroups, drawHeld, drawRangeBand, drawRangeEdges, drawTrack } from './overlays'
import { hatchPattern, noDataPattern } from './patterns'
import { pixelMeans } from './pixel-means'
import { drawMeanSurprise, drawPredictionBars } from './prediction-bars'
import { drawRowLabels } from './row-labels'
import { drawRuler } from './ruler'
import { placeWindow, type Row, type Scene, type Visible, visibleCells, type Window } from './scene'
import type { Sprites } from './sprites'

/** One of the parts that strips consist of: where it lies, its values and their scale. */
interface Part {
  band: Band
  values: (row: Row) => Float32Array
  scale: (row: Row) => Scale
}

const NO_VALUES = new Float32Array()

/** Return the parts of the strips: the values, and if signals are held the difference and the lower part. */
function partsOf({ geometry: { bands }, original }: Scene): Part[] {
  const values: Part = { band: bands.values, values: (row) => row.values, scale: (row) => row.scale }
  if (!original) return [values]
  const difference = (band: Band): Part => ({
    band,
    values: (row) => row.difference ?? NO_VALUES,
    scale: (row) => row.differences ?? original.differences,
  })
  const before: Part = { band: bands.lower, values: (row) => row.original ?? NO_VALUES, scale: (row) => row.scale }
  const lower = original.lower === 'original' ? before : difference(bands.lower)
  return [values, difference(bands.difference), lower].filter(({ band }) => band.height > 0)
}

function drawCells(pen: CanvasRenderingContext2D, scene: Scene, v: Visible, part: Part): void {
  const g = scene.geometry
  // Several steps a pixel: their mean is drawn.
  const pixels = g.cell < 1 ? Math.round(scene.labels.length * g.cell) : null
  const [from, columns] = pixels === null ? [v.firstStep, v.endStep - v.firstStep] : [0, pixels]
  const rows = v.endRow - v.firstRow
  if (columns <= 0 || rows <= 0) return
  const colours = new Uint32Array(columns * rows)
  const { palette } = scene
  for (let r = 0; r < rows; r++) {
    const row = scene.rows[v.firstRow + r]!
    const [values, scale] = [part.values(row), part.scale(row)]
    const drawn = pixels === null ? values : pixelMeans(values, pixels)
    for (let c = 0; c < columns; c++)
      colours[r * columns + c] = palette.rgba[palette.level(scale, drawn[from + c] ?? NaN)]!
  }
  drawCellBlock(pen, {
    columns,
    rows,
    colours,
    x: v.x(from),
    y: v.y(v.firstRow) + part.band.y,
    cell: pixels === null ? g.cell : 1,
    height: part.band.height,
    pitch: g.pitch,
    gap: g.cell > 6 ? palette.theme.paper : null,
  })
}

/** Rounding takes a value beyond its bound by less than this share of its scale. */
const ROUNDING = 1e-5

/** Whether a value lies beyond its scale. Only a hold takes one beyond the bounds of a signal. */
function isBeyond(scale: Scale, value: number): boolean {
  if (!clipped(scale, value)) return false
  const margin = scale.open ? 0 : ROUNDING * (scale.high - scale.low)
  return value > scale.high + margin || value < scale.low - margin
}

/** Hatch clipped values and dot missing ones; neighbours are filled together. */
function drawMarks(pen: CanvasRenderingContext2D, scene: Scene, v: Visible, part: Part): void {
  const g = scene.geometry
  const styles = [null, hatchPattern(pen), noDataPattern(pen)]
  for (let row = v.firstRow; row < v.endRow; row++) {
    if (scene.rows[row]!.heading) continue
    const [values, scale] = [part.values(scene.rows[row]!), part.scale(scene.rows[row]!)]
    const markAt = (t: number): number => {
      const value = values[t] ?? NaN
      return Number.isNaN(value) ? 2 : isBeyond(scale, value) ? 1 : 0
    }
    for (let t = v.firstStep; t < v.endStep;) {
      const mark = markAt(t)
      let end = t + 1
      while (end < v.endStep && markAt(end) === mark) end++
      const style = styles[mark]
      if (style) {
        // The pattern moves with the cells, not with the window.
        const x = v.x(t)
        const y = v.y(row) + part.band.y
        pen.save()
        pen.translate(x, y)
        pen.fillStyle = style
        pen.fillRect(0, 0, (end - t) * g.cell, part.band.height)
        pen.restore()
      }
      t = end
    }
  }
}

/** Characters that are drawn together for all rows. The rest of a text is drawn one by one, because it changes while it is typed. */
const LINE_COLUMNS = 32

function drawCharacters(pen: CanvasRenderingContext2D, scene: Scene, v: Visible, ratio: number): void {
  const { geometry: g, palette, sprites } = scene
  const { height } = g.bands.values
  const cells = { font: Math.min(g.font, height - 1), width: g.cell - 1, height, pitch: g.cell, ratio }
  const lineOf = (labels: readonly string[], from: number): ReturnType<Sprites['line']> => {
    const part = labels.slice(from, from + columns)
    return sprites.line(JSON.stringify(part), part, cells)
  }
  let columns = LINE_COLUMNS
  for (let from = v.firstStep - (v.firstStep % LINE_COLUMNS); from < v.endStep; from += columns) {
    if (from + LINE_COLUMNS > scene.labels.length) columns = 1
    const [first, end] = [Math.max(from, v.firstStep), Math.min(from + columns, v.endStep)]
    const shared = lineOf(scene.labels, from)
    for (let row = v.firstRow; row < v.endRow; row++) {
      const { values, scale, labels } = scene.rows[row]!
      const line = labels ? lineOf(labels, from) : shared
      const inkAt = (t: number): string => (t < end ? palette.letters[palette.level(scale, values[t] ?? NaN)]! : '')
      // The ink of missing values is empty.
      for (let t = first, ink = inkAt(t); t < end;) {
        const begin = t
        let next = ink
        while (t < end && next === ink) next = inkAt(++t)
        const last = Math.min(t, from + line.labels.length)
        if (ink && begin < last) line.draw(pen, begin - from, last - from, ink, v.x(from), v.y(row))
        ink = next
      }
    }
  }
}

function drawCurves(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  for (let row = v.firstRow; row < v.endRow; row++) {
    const { values, scale, original } = scene.rows[row]!
    const top = v.y(row) + g.strip + 4
    const toY = (value: number): number => {
      const share = scale.kind === 'two' ? (1 - position(scale, value)) / 2 : 1 - position(scale, value)
      return top + Math.max(-0.04, Math.min(1.04, share)) * g.curve
    }
    pen.fillStyle = theme.line
    const left = Math.max(g.label, v.x(v.firstStep))
    const width = v.x(v.endStep) - left
    for (const level of scale.kind === 'two' ? [scale.low, 0, scale.high] : [scale.low, scale.high])
      pen.fillRect(left, Math.round(toY(level)), width, 1)
    pen.lineJoin = 'round'
    if (original) {
      pen.strokeStyle = theme.mute
      pen.lineWidth = 1
      pen.setLineDash([2, 2])
      drawLine(pen, scene, v, original, 0, toY)
      pen.setLineDash([])
    }
    pen.strokeStyle = theme.ink
    pen.lineWidth = 1.3
    drawLine(pen, scene, v, values, 0, toY)
  }
}

function drawStarts(pen: CanvasRenderingContext2D, scene: Scene, v: Visible, from: number, to: number): void {
  const { theme } = scene.palette
  const wide = scene.geometry.cell > 6
  for (let t = Math.max(1, v.firstStep); t < v.endStep; t++) {
    if (!scene.start[t]) continue
    const x = v.x(t) - 1
    pen.fillStyle = theme.paper
    if (wide) pen.fillRect(x - 1, from, 3, to - from)
    pen.fillStyle = theme.mute
    pen.fillRect(x, from, 1, to - from)
  }
}

function drawCursor(pen: CanvasRenderingContext2D, scene: Scene, v: Visible, view: Window): void {
  const { geometry: g, cursor } = scene
  const { theme } = scene.palette
  const bottom = Math.min(view.height, v.y(scene.rows.length) - (g.pitch - g.strip - g.curve) + 2)
  pen.strokeStyle = theme.accent
  pen.save()
  pen.beginPath()
  pen.rect(g.label - 2, 0, view.width, view.height)
  pen.clip()
  if (cursor.step !== null) {
    pen.lineWidth = 1
    pen.globalAlpha = 0.85
    pen.strokeRect(v.x(cursor.step) - 1.5 + 0.5, 0.5, g.cell + 0.5, bottom)
    pen.globalAlpha = 1
  }
  pen.beginPath()
  pen.rect(0, g.header - 2, view.width, view.height)
  pen.clip()
  const outline = (row: number, from: number, to: number, thick: number): void => {
    pen.lineWidth = thick
    pen.strokeRect(from - 1.5, v.y(row) - 1, to - from + 2, g.strip + 2)
  }
  if (scene.selected !== null) outline(scene.selected, v.x(0), v.x(scene.labels.length), 1.5)
  if (cursor.row !== null && cursor.step !== null)
    outline(cursor.row, v.x(cursor.step), v.x(cursor.step + 1), cursor.pinned ? 2.5 : 1.5)
  pen.restore()
}

export function drawStrips(pen: CanvasRenderingContext2D, scene: Scene, view: Window): void {
  const { geometry: g } = scene
  const visible = visibleCells(scene, view)
  placeWindow(pen, view)
  pen.fillStyle = scene.palette.theme.paper
  pen.fillRect(0, 0, view.width, view.height)
  const parts = partsOf(scene)
  for (const part of parts) drawCells(pen, scene, visible, part)
  if (g.cell >= 1) for (const part of parts) drawMarks(pen, scene, visible, part)
  if (g.font && g.bands.values.height >= 12 && scene.header.parts.text === 'characters')
    drawCharacters(pen, scene, visible, view.ratio)
  if (g.curve) drawCurves(pen, scene, visible)
  if (g.cell >= 1) drawStarts(pen, scene, visible, g.header, visible.y(scene.rows.length))
  drawGhostCells(pen, scene, visible)
  drawHeld(pen, scene, visible)
  drawRangeEdges(pen, scene, visible, view)
  drawRowLabels(pen, scene, visible, view)
  drawGroups(pen, scene, visible, view)
  pen.fillStyle = scene.palette.theme.paper
  pen.fillRect(0, 0, view.width, g.header - 2)
  drawRangeBand(pen, scene, visible)
  drawRuler(pen, scene, visible)
  drawCharts(pen, scene, visible)
  drawHeat(pen, scene, visible)
  drawClassBands(pen, scene, visible)
  if (g.cell >= 1) {
    drawClassProbabilities(pen, scene, visible)
    drawPredictionBars(pen, scene, visible)
    drawGhostBars(pen, scene, visible)
  } else drawMeanSurprise(pen, scene, visible)
  drawTrack(pen, scene, visible)
  if (g.cell >= 1) drawStarts(pen, scene, visible, 2, g.header - 6)
  drawBranches(pen, scene, visible)
  drawHeaderLabels(pen, scene)
  drawCursor(pen, scene, visible, view)
}
