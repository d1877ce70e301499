// What stands around the strips: the text as a ruler, the predictions and surprise under it, the labels at the left.
import { opinionNames } from './classes'
import { chartNames, heatName } from './curves'
import { type Band, type Geometry, MONO, SANS } from './geometry'
import { glyph } from './glyphs'
import { chip, chosenMark, fitted } from './overlays'
import { type Scale, tick } from './paint'
import { type Scene, SURPRISE_LIMIT, type Visible, type Window } from './scene'
import { drawGlyph } from './sprites'

export function ruler(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
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
  if (!g.ruler.height) return
  if (scene.above.head.text === 'words') return words(pen, scene, v)
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

const ANGLE = -Math.PI / 3

/** Words in their columns, or slanted over columns that are too narrow for them. */
function words(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  const size = g.slanted ? Math.min(13, g.font + 1.5) : g.font + 1.5
  pen.textBaseline = 'middle'
  const bottom = g.ruler.y + g.ruler.height
  const room = g.slanted ? (g.ruler.height - 12) / Math.sin(-ANGLE) : g.cell - 6
  // The word of a column that is just out of sight at the left may lean into it.
  for (let t = Math.max(0, v.from - (g.slanted ? 3 : 0)); t < v.to; t++) {
    const { text, quiet } = glyph(scene.labels[t]!)
    const strange = scene.unknown[t] === 1
    const here = scene.cursor.step === t
    pen.font = `${quiet ? 400 : 600} ${size}px ${SANS}`
    pen.fillStyle = strange ? theme.warn : here && g.slanted ? theme.accent : quiet ? theme.mute : theme.ink
    const middle = v.x(t) + (g.cell - 1) / 2
    const shown = fitted(pen, text, room)
    if (g.slanted) {
      pen.save()
      pen.translate(middle, bottom - 7)
      pen.rotate(ANGLE)
      pen.textAlign = 'left'
      pen.fillText(shown, 0, 0)
      pen.restore()
    } else {
      pen.textAlign = 'center'
      pen.fillText(shown, middle, g.ruler.y + g.ruler.height / 2 + 0.5)
    }
    if (!strange) continue
    pen.fillStyle = theme.warn
    for (let x = 1; x < g.cell - 2; x += 3) pen.fillRect(v.x(t) + x, bottom - 2, 2, 1.5)
  }
}

export function predictions(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g, top } = scene
  const { theme } = scene.palette
  const width = Math.max(1, g.cell - (g.cell > 6 ? 2 : g.cell > 3 ? 1 : 0))
  const full = g.predictions.height
  const classes = scene.above.said !== null
  for (let t = v.from; t < v.to; t++) {
    let base = g.predictions.y + full
    for (let k = 0; k < top && full && !scene.above.shares; k++) {
      const height = Math.round(scene.topProbability[t * top + k]! * full)
      if (!(height >= 1)) break
      base -= height
      pen.fillStyle = k === 0 ? theme.bar : theme.barQuiet
      pen.fillRect(v.x(t), base, width, Math.max(1, height - 1))
      if (g.font && height >= 11) {
        const size = Math.min(g.font - 1, height - 1)
        const label = scene.topLabels(scene.topToken[t * top + k]!)
        pen.font = `10px ${SANS}`
        if (classes || scene.above.head.text === 'words') {
          pen.fillStyle = k === 0 ? theme.ink : theme.mute
          pen.textAlign = 'center'
          pen.textBaseline = 'middle'
          const shown = fitted(pen, glyph(label).text, width)
          if (shown.length > 1 || label.length === 1) pen.fillText(shown, v.x(t) + width / 2, base + (height - 1) / 2)
          continue
        }
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
    if (height > 0.3 && g.surprise.height) pen.fillRect(v.x(t), g.surprise.y, width, height)
  }
}

export function names(pen: CanvasRenderingContext2D, scene: Scene, v: Visible, view: Window): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  pen.fillStyle = theme.paper
  pen.fillRect(0, g.head, g.label - 1, view.height)
  if (g.pitch < 8) return everyTenth(pen, scene, v)
  pen.textBaseline = 'middle'
  for (let row = v.firstRow; row < v.lastRow; row++) {
    const { label, note } = scene.rows[row]!
    const y = v.y(row) + g.strip / 2
    chosenMark(pen, scene, scene.rows[row]!, v.y(row))
    chip(pen, scene, scene.rows[row]!, y)
    const small = g.pitch < 13
    pen.textAlign = 'left'
    const marked = row === scene.selected || row === scene.cursor.row || scene.rows[row]!.chosen
    pen.fillStyle = marked ? theme.accent : theme.ink
    pen.font = `${row === scene.selected ? 600 : 400} ${small ? 9 : 12}px ${g.curve ? SANS : MONO}`
    pen.fillText(label, 6, y, g.chip ? g.chip.x - 8 : g.label - 14)
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
    pen.fillText(tick(end), g.label - 8, top + (k / (ends.length - 1)) * g.curve)
  })
}

function everyTenth(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  pen.font = `9px ${MONO}`
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  for (let row = v.firstRow; row < v.lastRow; row++) {
    chosenMark(pen, scene, scene.rows[row]!, v.y(row))
    if (row % 4 && row !== scene.selected && row !== scene.cursor.row) continue
    const marked = row === scene.selected || row === scene.cursor.row
    pen.fillStyle = marked ? scene.palette.theme.accent : scene.palette.theme.mute
    pen.fillText(scene.rows[row]!.label, marked ? 4 : 30, v.y(row) + scene.geometry.strip / 2 + 2)
  }
}

export function headNames(pen: CanvasRenderingContext2D, scene: Scene): void {
  const { geometry: g } = scene
  pen.fillStyle = scene.palette.theme.paper
  pen.fillRect(0, 0, g.label - 1, g.head)
  pen.fillStyle = scene.palette.theme.mute
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  pen.font = `12px ${SANS}`
  const narrow = g.label < 100
  const middle = (band: Band): number => band.y + band.height / 2
  const read = scene.reverse ? (narrow ? '← text' : '← read from the end') : narrow ? 'text' : 'text, as read'
  if (g.ruler.height) pen.fillText(read, 4, g.slanted ? g.ruler.y + g.ruler.height - 10 : middle(g.ruler))
  else if (g.font || scene.above.head.text === 'none')
    pen.fillText(scene.reverse ? (narrow ? '← step' : '← step, read from the end') : 'step', 4, 8)
  chartNames(pen, scene)
  heatName(pen, scene)
  pen.fillStyle = scene.palette.theme.mute
  pen.textAlign = 'left'
  pen.font = `12px ${SANS}`
  const once = scene.above.said?.once
  if (g.said.height)
    pen.fillText(
      narrow ? 'said' : once && !scene.above.silent ? 'said so far' : once ? 'said at the end' : 'said',
      4,
      middle(g.said),
    )
  if (g.right.height) pen.fillText('right', 4, middle(g.right))
  if (g.predictions.height && !opinionNames(pen, scene)) {
    const classes = scene.above.said !== null
    const words = classes ? ['how sure', 'how probable'] : ['next?', 'next, as predicted']
    pen.fillText(words[narrow ? 0 : 1]!, 4, middle(g.predictions))
  }
  pen.font = `12px ${SANS}`
  pen.fillStyle = scene.palette.theme.mute
  if (g.surprise.height) pen.fillText(narrow ? 'surprise' : 'surprise (0–5 nats)', 4, middle(g.surprise))
  if (!g.track.height) return
  pen.fillStyle = scene.palette.theme.accent
  pen.fillText(fitted(pen, scene.track?.title ?? '…', g.label - 10), 4, g.track.y + g.track.height / 2 + 2)
}
