// Draws the strips, the ruler and the predictions on one canvas: only what is visible, one lookup per cell.
import { type Geometry, MONO, SANS } from './geometry'
import { clipped, NONE, type Palette, position, type Scale } from './paint'
import { drawGlyph, type Sprites } from './sprites'

export interface Row {
  label: string
  /** A short remark beside the label. */
  note: string
  values: Float32Array
  scale: Scale
}

export interface Scene {
  geometry: Geometry
  palette: Palette
  sprites: Sprites
  labels: string[]
  start: Uint8Array
  /** Steps whose character the network does not know. */
  unknown: Uint8Array
  rows: Row[]
  /** Predictions for the symbol after each step: `top` of them a step, most likely first. */
  top: number
  topLabels: (token: number) => string
  topToken: Int32Array
  topProbability: Float32Array
  logProbability: Float32Array
  cursor: { row: number | null; step: number | null; pinned: boolean }
  selected: number | null
}

export interface Window {
  width: number
  height: number
  left: number
  top: number
  ratio: number
}

/** Full height of the surprise bar, in nats. */
export const SURPRISE_LIMIT = 5

interface Visible {
  from: number
  to: number
  firstRow: number
  lastRow: number
  x: (step: number) => number
  y: (row: number) => number
}

function visible(scene: Scene, view: Window): Visible {
  const g = scene.geometry
  const steps = scene.labels.length
  return {
    from: Math.max(0, Math.floor(view.left / g.cell)),
    to: Math.min(steps, Math.ceil((view.left + view.width - g.label) / g.cell)),
    firstRow: Math.max(0, Math.floor(view.top / g.pitch)),
    lastRow: Math.min(scene.rows.length, Math.ceil((view.top + view.height - g.head) / g.pitch)),
    x: (step) => g.label + step * g.cell - view.left,
    y: (row) => g.head + row * g.pitch - view.top,
  }
}

const scratch: { canvas?: HTMLCanvasElement; hatch?: HTMLCanvasElement; none?: HTMLCanvasElement } = {}

function cells(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const columns = v.to - v.from
  const rows = v.lastRow - v.firstRow
  if (columns <= 0 || rows <= 0) return
  const image = new ImageData(columns, rows)
  const pixels = new Uint32Array(image.data.buffer)
  const { palette } = scene
  for (let r = 0; r < rows; r++) {
    const { values, scale } = scene.rows[v.firstRow + r]!
    for (let c = 0; c < columns; c++) pixels[r * columns + c] = palette.rgba[palette.level(scale, values[v.from + c]!)]!
  }
  const canvas = (scratch.canvas ??= document.createElement('canvas'))
  if (canvas.width < columns || canvas.height < rows) {
    canvas.width = Math.max(canvas.width, columns)
    canvas.height = Math.max(canvas.height, rows)
  }
  canvas.getContext('2d')?.putImageData(image, 0, 0)
  const g = scene.geometry
  pen.imageSmoothingEnabled = false
  for (let r = 0; r < rows; r++)
    pen.drawImage(canvas, 0, r, columns, 1, v.x(v.from), v.y(v.firstRow + r), columns * g.cell, g.strip)
}

function pattern(
  pen: CanvasRenderingContext2D,
  draw: (tile: CanvasRenderingContext2D) => void,
  kept: 'hatch' | 'none',
): CanvasPattern | null {
  let tile = scratch[kept]
  if (!tile) {
    tile = document.createElement('canvas')
    tile.width = tile.height = 5
    const small = tile.getContext('2d')
    if (small) draw(small)
    scratch[kept] = tile
  }
  return pen.createPattern(tile, 'repeat')
}

export function hatch(pen: CanvasRenderingContext2D): CanvasPattern | null {
  return pattern(
    pen,
    (tile) => {
      tile.fillStyle = 'rgba(255,255,255,0.55)'
      for (let k = 0; k < 5; k++) tile.fillRect(k, k, 1, 1)
    },
    'hatch',
  )
}

export function noData(pen: CanvasRenderingContext2D): CanvasPattern | null {
  return pattern(
    pen,
    (tile) => {
      tile.fillStyle = 'rgba(128,132,140,0.75)'
      tile.fillRect(1, 1, 1, 1)
    },
    'none',
  )
}

/** Clipped values are hatched, missing ones dotted: runs of neighbours are filled in one go. */
function marks(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const g = scene.geometry
  const styles = [null, hatch(pen), noData(pen)]
  for (let row = v.firstRow; row < v.lastRow; row++) {
    const { values, scale } = scene.rows[row]!
    const kind = (t: number): number => {
      const value = values[t]!
      return Number.isNaN(value) ? 2 : scale.open && clipped(scale, value) ? 1 : 0
    }
    for (let t = v.from; t < v.to;) {
      const now = kind(t)
      let end = t + 1
      while (end < v.to && kind(end) === now) end++
      const style = styles[now]
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

function gaps(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const g = scene.geometry
  pen.fillStyle = scene.palette.theme.paper
  for (let row = v.firstRow; row < v.lastRow; row++)
    for (let t = v.from; t <= v.to; t++) pen.fillRect(v.x(t) - 1, v.y(row), 1, g.strip)
}

function characters(pen: CanvasRenderingContext2D, scene: Scene, v: Visible, ratio: number): void {
  const { geometry: g, palette, sprites } = scene
  const dark = palette.theme.dark ? '#c9ccd1' : '#3a3f45'
  const light = '#ffffff'
  for (let row = v.firstRow; row < v.lastRow; row++) {
    const { values, scale } = scene.rows[row]!
    for (let t = v.from; t < v.to; t++) {
      const level = palette.level(scale, values[t]!)
      if (level === NONE) continue
      const ink = palette.light[level] ? light : dark
      const sprite = sprites.get(scene.labels[t]!, ink, g.font, g.cell - 1, g.strip, ratio)
      pen.drawImage(sprite, v.x(t), v.y(row), g.cell - 1, g.strip)
    }
  }
}

function curves(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  for (let row = v.firstRow; row < v.lastRow; row++) {
    const { values, scale } = scene.rows[row]!
    const top = v.y(row) + g.strip + 4
    const at = (value: number): number => {
      const share = scale.kind === 'two' ? (1 - position(scale, value)) / 2 : 1 - position(scale, value)
      return top + Math.max(-0.04, Math.min(1.04, share)) * g.curve
    }
    pen.fillStyle = theme.line
    const left = Math.max(g.label, v.x(v.from))
    const width = v.x(v.to) - left
    for (const level of scale.kind === 'two' ? [scale.low, 0, scale.high] : [scale.low, scale.high])
      pen.fillRect(left, Math.round(at(level)), width, 1)
    pen.strokeStyle = theme.ink
    pen.lineWidth = 1.3
    pen.lineJoin = 'round'
    pen.beginPath()
    let drawing = false
    for (let t = Math.max(0, v.from - 1); t < Math.min(values.length, v.to + 1); t++) {
      const value = values[t]!
      const x = v.x(t) + g.cell / 2
      if (Number.isNaN(value)) drawing = false
      else if (drawing && !scene.start[t]) pen.lineTo(x, at(value))
      else {
        pen.moveTo(x, at(value))
        pen.lineTo(x + 0.5, at(value))
        drawing = true
      }
    }
    pen.stroke()
  }
}

function starts(pen: CanvasRenderingContext2D, scene: Scene, v: Visible, from: number, to: number): void {
  const { theme } = scene.palette
  const wide = scene.geometry.cell > 6
  for (let t = Math.max(1, v.from); t < v.to; t++) {
    if (!scene.start[t]) continue
    const x = v.x(t) - 1
    pen.fillStyle = theme.paper
    if (wide) pen.fillRect(x - 1, from, 3, to - from)
    pen.fillStyle = theme.mute
    pen.fillRect(x, from, 1, to - from)
  }
}

function ruler(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  const every = [5, 10, 20, 50, 100, 200, 500, 1000].find((count) => count * g.cell >= 60) ?? 2000
  pen.font = `10px ${SANS}`
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  for (let t = Math.floor(v.from / every) * every; t < v.to; t += every) {
    pen.fillStyle = theme.line
    pen.fillRect(v.x(t), 3, 1, 11)
    pen.fillStyle = theme.mute
    pen.fillText(String(t), v.x(t) + 3, 8)
  }
  if (!g.font) return
  const y = g.ruler.y + g.ruler.height / 2
  for (let t = v.from; t < v.to; t++) {
    const strange = scene.unknown[t] === 1
    drawGlyph(
      pen,
      scene.labels[t]!,
      v.x(t) + (g.cell - 1) / 2,
      y,
      g.font + 1.5,
      g.cell,
      strange ? theme.warn : theme.ink,
      600,
    )
    if (!strange) continue
    pen.fillStyle = theme.warn
    for (let x = 1; x < g.cell - 2; x += 3) pen.fillRect(v.x(t) + x, g.ruler.y + g.ruler.height - 2, 2, 1.5)
  }
}

function predictions(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g, top } = scene
  const { theme } = scene.palette
  const width = Math.max(1, g.cell - (g.cell > 6 ? 2 : g.cell > 3 ? 1 : 0))
  const full = g.predictions.height
  for (let t = v.from; t < v.to; t++) {
    let base = g.predictions.y + full
    for (let k = 0; k < top; k++) {
      const height = Math.round(scene.topProbability[t * top + k]! * full)
      if (!(height >= 1)) break
      base -= height
      pen.fillStyle = k === 0 ? theme.bar : theme.barQuiet
      pen.fillRect(v.x(t), base, width, Math.max(1, height - 1))
      if (g.font && height >= 11) {
        const size = Math.min(g.font - 1, height - 1)
        const label = scene.topLabels(scene.topToken[t * top + k]!)
        drawGlyph(
          pen,
          label,
          v.x(t) + width / 2,
          base + (height - 1) / 2,
          size,
          g.cell,
          k === 0 ? theme.ink : theme.mute,
        )
      }
    }
    const surprise = -scene.logProbability[t]!
    const height = Math.min(1, surprise / SURPRISE_LIMIT) * g.surprise.height
    pen.fillStyle = theme.mute
    if (height > 0.3) pen.fillRect(v.x(t), g.surprise.y, width, height)
  }
}

function names(pen: CanvasRenderingContext2D, scene: Scene, v: Visible, view: Window): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  pen.fillStyle = theme.paper
  pen.fillRect(0, g.head, g.label - 1, view.height)
  if (g.pitch < 8) return everyTenth(pen, scene, v)
  pen.textBaseline = 'middle'
  for (let row = v.firstRow; row < v.lastRow; row++) {
    const { label, note } = scene.rows[row]!
    const y = v.y(row) + g.strip / 2
    const small = g.pitch < 13
    pen.textAlign = 'left'
    pen.fillStyle = row === scene.selected || row === scene.cursor.row ? theme.accent : theme.ink
    pen.font = `${row === scene.selected ? 600 : 400} ${small ? 9 : 12}px ${g.curve ? SANS : MONO}`
    pen.fillText(label, 4, y, g.label - 14)
    pen.fillStyle = theme.mute
    pen.font = `${small ? 8.5 : 11}px ${SANS}`
    if (g.curve) {
      pen.fillText(note, 4, y + 16, g.label - 44)
      scaleEnds(pen, scene.rows[row]!.scale, g, v.y(row))
    } else {
      pen.textAlign = 'right'
      pen.fillText(note, g.label - 10, y)
    }
  }
}

function scaleEnds(pen: CanvasRenderingContext2D, scale: Scale, g: Geometry, y: number): void {
  const top = y + g.strip + 4
  pen.textAlign = 'right'
  const ends = [scale.high, ...(scale.kind === 'two' ? [0] : []), scale.low]
  ends.forEach((end, k) => {
    const text = end < 0 ? `−${-end}` : String(end)
    pen.fillText(text, g.label - 8, top + (k / (ends.length - 1)) * g.curve)
  })
}

function everyTenth(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  pen.font = `9px ${MONO}`
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  for (let row = v.firstRow; row < v.lastRow; row++) {
    if (row % 4 && row !== scene.selected && row !== scene.cursor.row) continue
    const marked = row === scene.selected || row === scene.cursor.row
    pen.fillStyle = marked ? scene.palette.theme.accent : scene.palette.theme.mute
    pen.fillText(scene.rows[row]!.label, marked ? 4 : 30, v.y(row) + scene.geometry.strip / 2)
  }
}

function headNames(pen: CanvasRenderingContext2D, scene: Scene): void {
  const { geometry: g } = scene
  pen.fillStyle = scene.palette.theme.paper
  pen.fillRect(0, 0, g.label - 1, g.head)
  pen.fillStyle = scene.palette.theme.mute
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  pen.font = `12px ${SANS}`
  const narrow = g.label < 100
  if (g.font) pen.fillText(narrow ? 'text' : 'text, as read', 4, g.ruler.y + g.ruler.height / 2)
  pen.fillText(narrow ? 'next?' : 'next, as predicted', 4, g.predictions.y + g.predictions.height / 2)
  pen.fillText(narrow ? 'surprise' : 'surprise (0–5 nats)', 4, g.surprise.y + g.surprise.height / 2)
}

function cursor(pen: CanvasRenderingContext2D, scene: Scene, v: Visible, view: Window): void {
  const { geometry: g, cursor: at } = scene
  const { theme } = scene.palette
  const bottom = Math.min(view.height, v.y(scene.rows.length) - (g.pitch - g.strip - g.curve) + 2)
  pen.strokeStyle = theme.accent
  pen.save()
  pen.beginPath()
  pen.rect(g.label - 2, 0, view.width, view.height)
  pen.clip()
  if (at.step !== null) {
    pen.lineWidth = 1
    pen.globalAlpha = 0.85
    pen.strokeRect(v.x(at.step) - 1.5 + 0.5, 0.5, g.cell + 0.5, bottom)
    pen.globalAlpha = 1
  }
  pen.beginPath()
  pen.rect(0, g.head - 2, view.width, view.height)
  pen.clip()
  const outline = (row: number, from: number, to: number, thick: number): void => {
    pen.lineWidth = thick
    pen.strokeRect(from - 1.5, v.y(row) - 1, to - from + 2, g.strip + 2)
  }
  if (scene.selected !== null) outline(scene.selected, v.x(0), v.x(scene.labels.length), 1.5)
  if (at.row !== null && at.step !== null) outline(at.row, v.x(at.step), v.x(at.step + 1), at.pinned ? 2.5 : 1.5)
  pen.restore()
}

export function draw(pen: CanvasRenderingContext2D, scene: Scene, view: Window): void {
  const { geometry: g } = scene
  const v = visible(scene, view)
  pen.setTransform(view.ratio, 0, 0, view.ratio, 0, 0)
  pen.fillStyle = scene.palette.theme.paper
  pen.fillRect(0, 0, view.width, view.height)
  cells(pen, scene, v)
  if (g.cell > 6) gaps(pen, scene, v)
  marks(pen, scene, v)
  if (g.font && g.strip >= 12) characters(pen, scene, v, view.ratio)
  if (g.curve) curves(pen, scene, v)
  starts(pen, scene, v, g.head, v.y(scene.rows.length))
  names(pen, scene, v, view)
  pen.fillStyle = scene.palette.theme.paper
  pen.fillRect(0, 0, view.width, g.head - 2)
  ruler(pen, scene, v)
  predictions(pen, scene, v)
  starts(pen, scene, v, 2, g.head - 6)
  headNames(pen, scene)
  cursor(pen, scene, v, view)
}
