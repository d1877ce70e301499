// Draws the path of a layer through the space of its states: a line from step to step, and one dot for each.
import type { SpaceLayout, SpacePath } from '../model/space'
import { tickText } from '../model/scale'
import { SANS } from './geometry'
import type { Theme } from './palette'

/** The colours of symbols; each has a contrast of at least 3 with the paper. */
const LIGHT_COLOURS = ['#1f5fa8', '#c2500a', '#1f7a52', '#8e4aa8', '#8a6d00', '#0d7f8c']
const DARK_COLOURS = ['#7fb2f0', '#f0935a', '#6cc38b', '#c9a3d6', '#d9b84a', '#5cc4cf']
const MANY_STEPS = 1500

export interface SpaceScene {
  theme: Theme
  path: SpacePath
  layout: SpaceLayout
  /** The group of the symbol of each step; -1 for others. */
  groups: Int8Array
  start: Uint8Array
  /** The group whose dots stand out; null for all. */
  lit: number | null
}

/** Return the colour of a group of symbols. */
export const symbolColour = (theme: Theme, group: number): string =>
  (theme.dark ? DARK_COLOURS : LIGHT_COLOURS)[group] ?? theme.mute

const place = ({ path, layout }: SpaceScene, step: number): [number, number] => [
  layout.x(path.x.values[step]!),
  layout.y(path.y?.values[step] ?? 0),
]

/** Draw the axes, the path and the dots: what does not change with the cursor. */
export function drawSpace(pen: CanvasRenderingContext2D, scene: SpaceScene): void {
  const { theme, layout } = scene
  pen.fillStyle = theme.panel
  pen.fillRect(0, 0, layout.width, layout.height)
  drawAxes(pen, scene)
  drawPath(pen, scene)
  drawDots(pen, scene)
}

/** Draw the lines of 0 and the ends of both axes. */
function drawAxes(pen: CanvasRenderingContext2D, { theme, layout, path }: SpaceScene): void {
  const { ends, width, height } = layout
  pen.fillStyle = theme.line
  if (ends.x[0] <= 0 && ends.x[1] >= 0) pen.fillRect(Math.round(layout.x(0)), 0, 1, height)
  if (ends.y[0] <= 0 && ends.y[1] >= 0) pen.fillRect(0, Math.round(layout.y(0)), width, 1)
  pen.font = `10.5px ${SANS}`
  pen.fillStyle = theme.mute
  pen.textBaseline = 'bottom'
  pen.textAlign = 'left'
  pen.fillText(tickText(ends.x[0]), 2, height - 1)
  pen.textAlign = 'right'
  pen.fillText(tickText(ends.x[1]), width - 2, height - 1)
  if (!path.y) return
  pen.textAlign = 'left'
  pen.textBaseline = 'top'
  pen.fillText(tickText(ends.y[1]), 2, 2)
  pen.textBaseline = 'bottom'
  pen.fillText(tickText(ends.y[0]), 2, height - 14)
}

/** Draw the way from step to step in the colour of the symbol that was read; sequences are not joined. */
function drawPath(pen: CanvasRenderingContext2D, scene: SpaceScene): void {
  const { theme, groups, start, lit } = scene
  const many = groups.length > MANY_STEPS
  pen.lineWidth = many ? 0.6 : 1.1
  for (let group = -1; group < LIGHT_COLOURS.length; group++) {
    pen.strokeStyle = symbolColour(theme, group)
    pen.globalAlpha = lit !== null && lit !== group ? 0.12 : many ? 0.3 : 0.55
    pen.beginPath()
    for (let step = 1; step < groups.length; step++) {
      if (groups[step] !== group || start[step]) continue
      pen.moveTo(...place(scene, step - 1))
      pen.lineTo(...place(scene, step))
    }
    pen.stroke()
  }
  pen.globalAlpha = 1
}

function drawDots(pen: CanvasRenderingContext2D, scene: SpaceScene): void {
  const { theme, groups, lit } = scene
  const radius = groups.length > MANY_STEPS ? 1.2 : groups.length > 300 ? 2 : 3.2
  for (let step = 0; step < groups.length; step++) {
    const group = groups[step]!
    pen.fillStyle = symbolColour(theme, group)
    pen.globalAlpha = lit !== null && lit !== group ? 0.15 : 1
    pen.beginPath()
    pen.arc(...place(scene, step), radius, 0, 2 * Math.PI)
    pen.fill()
  }
  pen.globalAlpha = 1
}

/** Draw the ring around the dot of the cursor, with the symbol beside it. */
export function drawSpaceCursor(pen: CanvasRenderingContext2D, scene: SpaceScene, step: number, label: string): void {
  const { theme, layout } = scene
  const [x, y] = place(scene, step)
  pen.strokeStyle = theme.ink
  pen.lineWidth = 2
  pen.beginPath()
  pen.arc(x, y, 6.5, 0, 2 * Math.PI)
  pen.stroke()
  pen.font = `600 13px ${SANS}`
  const width = pen.measureText(label).width + 8
  const left = x + 10 + width > layout.width ? x - 10 - width : x + 10
  const top = Math.max(2, Math.min(layout.height - 20, y - 9))
  pen.fillStyle = theme.panel
  pen.globalAlpha = 0.85
  pen.fillRect(left, top, width, 18)
  pen.globalAlpha = 1
  pen.fillStyle = theme.ink
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  pen.fillText(label, left + 4, top + 9.5)
}
