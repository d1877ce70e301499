// Draws the strips on one canvas: only what is in sight, one lookup per cell.
import { clipped, position } from '../model/scale'
import { drawCharts, drawHeat } from './charts'
import { drawClassProbabilities, drawClassBands } from './class-bands'
import { drawHeaderLabels } from './header-labels'
import { drawHeld, drawRangeBand, drawRangeEdges, drawTrack } from './overlays'
import { NONE } from './palette'
import { hatchPattern, noDataPattern } from './patterns'
import { drawPredictionBars } from './prediction-bars'
import { drawRowLabels } from './row-labels'
import { drawRuler } from './ruler'
import { type Scene, type Visible, visibleCells, type Window } from './scene'

let scratch: HTMLCanvasElement | undefined

function drawCells(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const columns = v.endStep - v.firstStep
  const rows = v.endRow - v.firstRow
  if (columns <= 0 || rows <= 0) return
  const image = new ImageData(columns, rows)
  const pixels = new Uint32Array(image.data.buffer)
  const { palette } = scene
  for (let r = 0; r < rows; r++) {
    const { values, scale } = scene.rows[v.firstRow + r]!
    for (let c = 0; c < columns; c++)
      pixels[r * columns + c] = palette.rgba[palette.level(scale, values[v.firstStep + c]!)]!
  }
  const canvas = (scratch ??= document.createElement('canvas'))
  if (canvas.width < columns || canvas.height < rows) {
    canvas.width = Math.max(canvas.width, columns)
    canvas.height = Math.max(canvas.height, rows)
  }
  canvas.getContext('2d')?.putImageData(image, 0, 0)
  const g = scene.geometry
  pen.imageSmoothingEnabled = false
  for (let r = 0; r < rows; r++)
    pen.drawImage(canvas, 0, r, columns, 1, v.x(v.firstStep), v.y(v.firstRow + r), columns * g.cell, g.strip)
}

/** Hatch clipped values and dot missing ones; neighbours are filled together. */
function drawMarks(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const g = scene.geometry
  const styles = [null, hatchPattern(pen), noDataPattern(pen)]
  for (let row = v.firstRow; row < v.endRow; row++) {
    const { values, scale } = scene.rows[row]!
    const markAt = (t: number): number => {
      const value = values[t]!
      return Number.isNaN(value) ? 2 : scale.open && clipped(scale, value) ? 1 : 0
    }
    for (let t = v.firstStep; t < v.endStep;) {
      const mark = markAt(t)
      let end = t + 1
      while (end < v.endStep && markAt(end) === mark) end++
      const style = styles[mark]
      if (style) {
        // The pattern moves with the cells, not with the window.
        const x = v.x(t)
        const y = v.y(row)
        pen.save()
        pen.translate(x, y)
        pen.fillStyle = style
        pen.fillRect(0, 0, (end - t) * g.cell, g.strip)
        pen.restore()
      }
      t = end
    }
  }
}

function drawGaps(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const g = scene.geometry
  pen.fillStyle = scene.palette.theme.paper
  for (let row = v.firstRow; row < v.endRow; row++)
    for (let t = v.firstStep; t <= v.endStep; t++) pen.fillRect(v.x(t) - 1, v.y(row), 1, g.strip)
}

function drawCharacters(pen: CanvasRenderingContext2D, scene: Scene, v: Visible, ratio: number): void {
  const { geometry: g, palette, sprites } = scene
  const dark = palette.theme.dark ? '#c9ccd1' : '#3a3f45'
  const light = '#ffffff'
  for (let row = v.firstRow; row < v.endRow; row++) {
    const { values, scale } = scene.rows[row]!
    for (let t = v.firstStep; t < v.endStep; t++) {
      const level = palette.level(scale, values[t]!)
      if (level === NONE) continue
      const ink = palette.light[level] ? light : dark
      const sprite = sprites.get(scene.labels[t]!, ink, g.font, g.cell - 1, g.strip, ratio)
      pen.drawImage(sprite, v.x(t), v.y(row), g.cell - 1, g.strip)
    }
  }
}

function drawCurves(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  for (let row = v.firstRow; row < v.endRow; row++) {
    const { values, scale } = scene.rows[row]!
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
    pen.strokeStyle = theme.ink
    pen.lineWidth = 1.3
    pen.lineJoin = 'round'
    pen.beginPath()
    let drawing = false
    for (let t = Math.max(0, v.firstStep - 1); t < Math.min(values.length, v.endStep + 1); t++) {
      const value = values[t]!
      const x = v.x(t) + g.cell / 2
      if (Number.isNaN(value)) drawing = false
      else if (drawing && !scene.start[t]) pen.lineTo(x, toY(value))
      else {
        pen.moveTo(x, toY(value))
        pen.lineTo(x + 0.5, toY(value))
        drawing = true
      }
    }
    pen.stroke()
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
  pen.setTransform(view.ratio, 0, 0, view.ratio, 0, 0)
  pen.fillStyle = scene.palette.theme.paper
  pen.fillRect(0, 0, view.width, view.height)
  drawCells(pen, scene, visible)
  if (g.cell > 6) drawGaps(pen, scene, visible)
  drawMarks(pen, scene, visible)
  if (g.font && g.strip >= 12 && scene.header.parts.text === 'characters')
    drawCharacters(pen, scene, visible, view.ratio)
  if (g.curve) drawCurves(pen, scene, visible)
  drawStarts(pen, scene, visible, g.header, visible.y(scene.rows.length))
  drawHeld(pen, scene, visible)
  drawRangeEdges(pen, scene, visible, view)
  drawRowLabels(pen, scene, visible, view)
  pen.fillStyle = scene.palette.theme.paper
  pen.fillRect(0, 0, view.width, g.header - 2)
  drawRangeBand(pen, scene, visible)
  drawRuler(pen, scene, visible)
  drawCharts(pen, scene, visible)
  drawHeat(pen, scene, visible)
  drawClassBands(pen, scene, visible)
  drawClassProbabilities(pen, scene, visible)
  drawPredictionBars(pen, scene, visible)
  drawTrack(pen, scene, visible)
  drawStarts(pen, scene, visible, 2, g.header - 6)
  drawHeaderLabels(pen, scene)
  drawCursor(pen, scene, visible, view)
}
