// Draws the strips on one canvas: only what is in sight, one lookup per cell.
import { charts, heat } from './charts'
import { opinion, said } from './class-bands'
import { headNames } from './header-labels'
import { rangeBand, rangeEdges, track } from './overlays'
import { NONE } from './palette'
import { hatch, noData } from './patterns'
import { predictions } from './prediction-bars'
import { names } from './row-labels'
import { ruler } from './ruler'
import { type Scene, type Visible, visible, type Window } from './scene'
import { clipped, position } from '../model/scale'

let scratch: HTMLCanvasElement | undefined

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
  const canvas = (scratch ??= document.createElement('canvas'))
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
  if (g.font && g.strip >= 12 && scene.above.head.text === 'characters') characters(pen, scene, v, view.ratio)
  if (g.curve) curves(pen, scene, v)
  starts(pen, scene, v, g.head, v.y(scene.rows.length))
  rangeEdges(pen, scene, v, view)
  names(pen, scene, v, view)
  pen.fillStyle = scene.palette.theme.paper
  pen.fillRect(0, 0, view.width, g.head - 2)
  rangeBand(pen, scene, v)
  ruler(pen, scene, v)
  charts(pen, scene, v)
  heat(pen, scene, v)
  said(pen, scene, v)
  opinion(pen, scene, v)
  predictions(pen, scene, v)
  track(pen, scene, v)
  starts(pen, scene, v, 2, g.head - 6)
  headNames(pen, scene)
  cursor(pen, scene, v, view)
}
