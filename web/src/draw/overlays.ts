// Draws what belongs to neurons and ranges over the strips: the track of a feature, the chosen range, the chips of labels.
import { fitText } from './fit-text'
import { SANS } from './geometry'
import type { Row, Scene, Visible, Window } from './scene'

/** Draw a feature over the characters: a bar where it is on, or bars as high as a count, with the number if it fits. */
export function drawTrack(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g, track: shown } = scene
  if (!g.track.height) return
  const { theme } = scene.palette
  const bottom = g.track.y + g.track.height - 2
  pen.fillStyle = theme.line
  pen.fillRect(v.x(v.firstStep), bottom, v.x(v.endStep) - v.x(v.firstStep), 1)
  if (!shown) return
  const width = Math.max(1, g.cell - (g.cell > 6 ? 1 : 0))
  const full = g.track.height - 4
  pen.font = `9.5px ${SANS}`
  pen.textAlign = 'center'
  pen.textBaseline = 'middle'
  for (let t = v.firstStep; t < v.endStep; t++) {
    const value = shown.values[t] ?? NaN
    if (Number.isNaN(value)) {
      pen.fillStyle = theme.line
      pen.fillRect(v.x(t), bottom - 3, width, 3)
      continue
    }
    if (shown.kind === 'binary') {
      pen.fillStyle = theme.accent
      if (value) pen.fillRect(v.x(t), bottom - 12, continues(shown.values, scene.start, t) ? g.cell : width, 12)
      continue
    }
    const height = Math.max(value > 0 ? 1 : 0, (value / shown.most) * full)
    pen.fillStyle = theme.bar
    pen.fillRect(v.x(t), bottom - height, width, height)
    if (g.cell < 15) {
      pen.fillStyle = theme.accent
      if (height) pen.fillRect(v.x(t), bottom - height, width, 1)
      continue
    }
    pen.fillStyle = value ? theme.ink : theme.mute
    pen.fillText(String(Number(value.toFixed(1))), v.x(t) + width / 2, bottom - full / 2 + 1, width)
  }
}

function continues(values: ArrayLike<number>, start: Uint8Array, t: number): boolean {
  return Boolean(values[t + 1]) && !start[t + 1]
}

/** Draw the band behind the selected characters. */
export function drawRangeBand(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { range, geometry: g } = scene
  if (!range) return
  const height = Math.max(14, g.ruler.y + g.ruler.height - 2)
  pen.fillStyle = scene.palette.theme.chipFull
  pen.fillRect(v.x(range.first) - 1, 1, (range.last - range.first + 1) * g.cell, height)
}

export function drawRangeEdges(pen: CanvasRenderingContext2D, scene: Scene, v: Visible, view: Window): void {
  const { range, geometry: g } = scene
  if (!range) return
  const bottom = Math.min(view.height, v.y(scene.rows.length))
  pen.fillStyle = scene.palette.theme.accent
  for (const x of [v.x(range.first) - 1.5, v.x(range.last + 1) - 1])
    if (x >= g.label - 2) pen.fillRect(x, 0, 1.5, bottom)
}

/** Draw the label of a neuron, on a ground that is filled in proportion to its strength. */
export function drawChip(pen: CanvasRenderingContext2D, scene: Scene, row: Row, y: number): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  if (!g.chip || !row.chip) return
  const { x, width } = g.chip
  const hasText = width >= 50 && g.strip >= 12
  const height = hasText ? Math.min(18, g.strip - 1) : Math.min(6, g.strip)
  const top = Math.round(y - height / 2)
  pen.save()
  pen.beginPath()
  pen.roundRect(x, top, width, height, Math.min(5, height / 2))
  pen.clip()
  pen.fillStyle = theme.chip
  pen.fillRect(x, top, width, height)
  pen.fillStyle = theme.chipFull
  pen.fillRect(x, top, width * row.chip.strength, height)
  pen.restore()
  if (!hasText) return
  pen.font = `${height < 16 ? 9.5 : 11.5}px ${SANS}`
  pen.fillStyle = theme.ink
  pen.textAlign = 'left'
  pen.fillText(fitText(pen, row.chip.text, width - 12), x + 6, y + 0.5)
}

/** Draw a mark at the edge of a neuron that is on in the selected range. */
export function drawRangeMark(pen: CanvasRenderingContext2D, scene: Scene, row: Row, y: number): void {
  if (!row.inRange) return
  pen.fillStyle = scene.palette.theme.accent
  pen.fillRect(0, y, 3, scene.geometry.strip)
}

/** Draw a line over each row with which a group of neurons begins. */
export function drawGroups(pen: CanvasRenderingContext2D, scene: Scene, v: Visible, view: Window): void {
  const { geometry: g, rows } = scene
  pen.fillStyle = scene.palette.theme.ink
  const height = Math.max(1, g.pitch - g.strip - g.curve)
  for (let row = v.firstRow; row < v.endRow; row++)
    if (rows[row]!.begins) pen.fillRect(0, v.y(row) - height, view.width, height)
}

/** Draw a frame around the cells at which a signal is held. */
export function drawHeld(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g, rows, labels } = scene
  pen.strokeStyle = scene.palette.theme.held
  pen.lineWidth = 2
  for (let row = v.firstRow; row < v.endRow; row++)
    for (const { first, last } of rows[row]!.held ?? []) {
      const [from, to] = [v.x(first), v.x(Math.min(last + 1, labels.length))]
      if (first < labels.length) pen.strokeRect(from, v.y(row) + 1, to - from - 2, g.bands.values.height - 2)
    }
}
