// A pen that writes SVG from the calls that draw on a canvas: texts stay texts, and cells are shapes.
import type { CellBlock, VectorPen } from './cells'

type Pen = CanvasRenderingContext2D
type Matrix = [number, number, number, number, number, number]
type Style = string | { tile: string }

interface State {
  fillStyle: Style
  strokeStyle: Style
  globalAlpha: number
  font: string
  textAlign: string
  textBaseline: string
  lineWidth: number
  lineJoin: string
  matrix: Matrix
  dash: number[]
  /** The number of clips that were opened in this state. */
  clips: number
}

/** Returns the width and the ascent of texts; a canvas does. */
export type Ruler = Pick<Pen, 'font' | 'textBaseline' | 'measureText'>

const DIGITS = 100

/** Print a coordinate with at most two decimals. */
const short = (value: number): string => String(Math.round(value * DIGITS) / DIGITS || 0)

/** Escape a text for XML; characters that XML cannot hold become U+FFFD. */
export function escaped(text: string): string {
  return (
    text
      // eslint-disable-next-line no-control-regex
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udfff](?![\udc00-\udfff])/gu, '\ufffd')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
  )
}

/** Return a colour without its alpha, and its alpha. */
function splitColour(colour: string): [string, number] {
  const parts = /^rgba\(\s*([\d.]+)\s*,\s*([\d.]+)\s*,\s*([\d.]+)\s*,\s*([\d.]+)\s*\)$/.exec(colour)
  return parts ? [`rgb(${parts[1]},${parts[2]},${parts[3]})`, Number(parts[4])] : [colour, 1]
}

/** Return the rules of a font of a canvas, such as `600 12px sans-serif`; not every renderer reads them in one. */
function fontRules(font: string): string {
  const [, weight = '400', size = '10', family = 'sans-serif'] = /^(?:(\w+) )?([\d.]+)px (.+)$/.exec(font) ?? []
  return `font-weight:${weight};font-size:${size}px;font-family:${family}`
}

const hexColour = (rgba: number): string =>
  `#${[rgba & 255, (rgba >> 8) & 255, (rgba >> 16) & 255].map((part) => part.toString(16).padStart(2, '0')).join('')}`

const ANCHORS: Record<string, string> = { center: 'middle', right: 'end', end: 'end' }

export class SvgPen {
  fillStyle: Style = '#000000'
  strokeStyle: Style = '#000000'
  globalAlpha = 1
  font = '10px sans-serif'
  textAlign = 'start'
  textBaseline = 'alphabetic'
  lineWidth = 1
  lineJoin = 'miter'
  imageSmoothingEnabled = true
  #matrix: Matrix = [1, 0, 0, 1, 0, 0]
  #dash: number[] = []
  #clips = 0
  #path = ''
  readonly #saved: State[] = []
  readonly #parts: string[] = []
  /** What the whole drawing shares: definitions by their content, and the class of each font. */
  readonly #shared: { definitions: Map<string, string>; fonts: Map<string, string>; baselines: Map<string, number> }

  constructor(
    private readonly ruler: Ruler,
    parent?: SvgPen,
  ) {
    this.#shared = parent ? parent.#shared : { definitions: new Map(), fonts: new Map(), baselines: new Map() }
  }

  /** Return this pen with the type that the drawing functions take. */
  get vector(): VectorPen {
    return this as unknown as VectorPen
  }

  save(): void {
    const { fillStyle, strokeStyle, globalAlpha, font, textAlign, textBaseline, lineWidth, lineJoin } = this
    const styles = { fillStyle, strokeStyle, globalAlpha, font, textAlign, textBaseline, lineWidth, lineJoin }
    this.#saved.push({ ...styles, matrix: this.#matrix, dash: this.#dash, clips: this.#clips })
    this.#clips = 0
  }
  restore(): void {
    const state = this.#saved.pop()
    if (!state) return
    this.#parts.push('</g>'.repeat(this.#clips))
    const { matrix, dash, clips, ...styles } = state
    Object.assign(this, styles)
    ;[this.#matrix, this.#dash, this.#clips] = [matrix, dash, clips]
  }
  setTransform(...matrix: Matrix): void {
    this.#matrix = matrix
  }
  translate(x: number, y: number): void {
    const [a, b, c, d] = this.#matrix
    const [left, top] = this.#point(x, y)
    this.#matrix = [a, b, c, d, left, top]
  }
  rotate(angle: number): void {
    const [a, b, c, d, e, f] = this.#matrix
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
    this.#matrix = [a * cos + c * sin, b * cos + d * sin, c * cos - a * sin, d * cos - b * sin, e, f]
  }
  setLineDash(dash: number[]): void {
    this.#dash = dash
  }
  measureText(text: string): TextMetrics {
    this.ruler.font = this.font
    return this.ruler.measureText(text)
  }

  beginPath(): void {
    this.#path = ''
  }
  closePath(): void {
    this.#path += 'Z'
  }
  moveTo(x: number, y: number): void {
    this.#path += `M${this.#at(x, y)}`
  }
  lineTo(x: number, y: number): void {
    this.#path += `${this.#path ? 'L' : 'M'}${this.#at(x, y)}`
  }
  rect(x: number, y: number, width: number, height: number): void {
    this.#path += this.#rectangle(x, y, width, height)
  }
  roundRect(x: number, y: number, width: number, height: number, radius: number): void {
    const [right, bottom, r] = [x + width, y + height, Math.max(0, Math.min(radius, width / 2, height / 2))]
    const corner = (toX: number, toY: number): string => `A${short(r)} ${short(r)} 0 0 1 ${this.#at(toX, toY)}`
    this.#path +=
      `M${this.#at(x + r, y)}L${this.#at(right - r, y)}${corner(right, y + r)}L${this.#at(right, bottom - r)}` +
      `${corner(right - r, bottom)}L${this.#at(x + r, bottom)}${corner(x, bottom - r)}L${this.#at(x, y + r)}${corner(x + r, y)}Z`
  }
  /** Add an arc from one angle to another, clockwise. */
  arc(x: number, y: number, radius: number, from: number, to: number): void {
    const spot = (angle: number): string => this.#at(x + radius * Math.cos(angle), y + radius * Math.sin(angle))
    const r = short(radius)
    const middle = (from + to) / 2
    const half = Number(to - from > 2 * Math.PI)
    this.#path += `${this.#path && !this.#path.endsWith('Z') ? 'L' : 'M'}${spot(from)}`
    for (const angle of [middle, to]) this.#path += `A${r} ${r} 0 ${half} 1 ${spot(angle)}`
  }
  fill(): void {
    if (this.#path) this.#parts.push(`<path d="${this.#path}"${this.#paint('fill', this.fillStyle)}/>`)
  }
  stroke(): void {
    if (this.#path) this.#parts.push(`<path d="${this.#path}" fill="none"${this.#line()}/>`)
  }
  /** Clip what follows to the path, until the state is restored. */
  clip(): void {
    const id = this.#define(`<clipPath id="ID"><path d="${this.#path}"/></clipPath>`)
    this.#parts.push(`<g clip-path="url(#${id})">`)
    this.#clips++
  }

  fillRect(x: number, y: number, width: number, height: number): void {
    if (!width || !height) return
    const paint = this.#paint('fill', this.fillStyle)
    if (typeof this.fillStyle === 'string') {
      this.#parts.push(`<path d="${this.#rectangle(x, y, width, height)}"${paint}/>`)
      return
    }
    // A pattern begins where the coordinates do.
    const [, , , , e, f] = this.#matrix
    const place = `x="${short(x)}" y="${short(y)}" width="${short(width)}" height="${short(height)}"`
    this.#parts.push(`<rect ${place} transform="translate(${short(e)} ${short(f)})"${paint}/>`)
  }
  strokeRect(x: number, y: number, width: number, height: number): void {
    this.#parts.push(`<path d="${this.#rectangle(x, y, width, height)}" fill="none"${this.#line()}/>`)
  }
  fillText(text: string, x: number, y: number, maxWidth = Infinity): void {
    if (!text || !(maxWidth > 0)) return
    const { width } = this.measureText(text)
    const squeezed = width > maxWidth ? ` textLength="${short(maxWidth)}" lengthAdjust="spacingAndGlyphs"` : ''
    const anchor = ANCHORS[this.textAlign]
    const [a, b, c, d, e, f] = this.#matrix
    const isMoved = a === 1 && b === 0 && c === 0 && d === 1
    const [left, top] = [x + (isMoved ? e : 0), y + this.#baseline() + (isMoved ? f : 0)]
    const turned = isMoved
      ? ''
      : ` transform="matrix(${[a, b, c, d].map((one) => one.toFixed(5)).join(' ')} ${short(e)} ${short(f)})"`
    this.#parts.push(
      `<text class="${this.#fontClass()}" x="${short(left)}" y="${short(top)}"` +
        `${anchor ? ` text-anchor="${anchor}"` : ''}${squeezed}${turned}${this.#paint('fill', this.fillStyle)}>${escaped(text)}</text>`,
    )
  }

  /** Draw a block of cells: a path for each colour, in which equal neighbours are one shape. */
  drawCells({ columns, rows, colours, x, y, cell, height, pitch, gap }: CellBlock): void {
    const paths = new Map<number, string>()
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns;) {
        const colour = colours[r * columns + c]!
        let end = c + 1
        if (gap === null) while (end < columns && colours[r * columns + end] === colour) end++
        const shape = this.#rectangle(x + c * cell, y + r * pitch, (end - c) * cell - (gap === null ? 0 : 1), height)
        if (colour) paths.set(colour, (paths.get(colour) ?? '') + shape)
        c = end
      }
    this.#parts.push('<g shape-rendering="crispEdges">')
    for (const [colour, path] of paths) this.#parts.push(`<path fill="${hexColour(colour)}" d="${path}"/>`)
    this.#parts.push('</g>')
  }
  makeTile(size: number, draw: (tile: Pen) => void): CanvasPattern {
    const tile = new SvgPen(this.ruler, this)
    draw(tile.vector)
    const square = `width="${size}" height="${size}"`
    const content = tile.#parts.join('')
    const id = this.#define(`<pattern id="ID" patternUnits="userSpaceOnUse" ${square}>${content}</pattern>`)
    return { tile: id } as unknown as CanvasPattern
  }
  /** Put a drawing that is SVG already into a rectangle. */
  embed(svg: string, x: number, y: number): void {
    const [left, top] = this.#point(x, y)
    this.#parts.push(`<g transform="translate(${short(left)} ${short(top)})">${svg}</g>`)
  }

  /** Return the document. */
  document(width: number, height: number, title: string, description: string): string {
    const fonts = [...this.#shared.fonts].map(([font, name]) => `.${name}{${fontRules(font)}}`).join('')
    const definitions = [...this.#shared.definitions].map(([content, id]) => content.replace('id="ID"', `id="${id}"`))
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" width="${short(width)}" height="${short(height)}" viewBox="0 0 ${short(width)} ${short(height)}" xml:space="preserve">`,
      `<title>${escaped(title)}</title><desc>${escaped(description)}</desc>`,
      `<defs><style>text{white-space:pre}${fonts}</style>${definitions.join('')}</defs>`,
      ...this.#parts,
      '</svg>\n',
    ].join('\n')
  }

  #point(x: number, y: number): [number, number] {
    const [a, b, c, d, e, f] = this.#matrix
    return [a * x + c * y + e, b * x + d * y + f]
  }
  #at(x: number, y: number): string {
    const [left, top] = this.#point(x, y)
    return `${short(left)} ${short(top)}`
  }
  #rectangle(x: number, y: number, width: number, height: number): string {
    const [a, b, c, d] = this.#matrix
    if (a === 1 && b === 0 && c === 0 && d === 1)
      return `M${this.#at(x, y)}h${short(width)}v${short(height)}h${short(-width)}z`
    const corners = [
      [x, y],
      [x + width, y],
      [x + width, y + height],
      [x, y + height],
    ] as const
    return `M${corners.map(([left, top]) => this.#at(left, top)).join('L')}Z`
  }
  #paint(what: 'fill' | 'stroke', style: Style): string {
    const [colour, alpha] = typeof style === 'string' ? splitColour(style) : [`url(#${style.tile})`, 1]
    const opacity = alpha * this.globalAlpha
    return ` ${what}="${colour}"${opacity < 1 ? ` ${what}-opacity="${short(opacity)}"` : ''}`
  }
  #line(): string {
    const dash = this.#dash.length ? ` stroke-dasharray="${this.#dash.join(' ')}"` : ''
    const join = this.lineJoin === 'miter' ? '' : ` stroke-linejoin="${this.lineJoin}"`
    return `${this.#paint('stroke', this.strokeStyle)} stroke-width="${short(this.lineWidth)}"${dash}${join}`
  }
  #fontClass(): string {
    const { fonts } = this.#shared
    let name = fonts.get(this.font)
    if (name === undefined) fonts.set(this.font, (name = `t${fonts.size}`))
    return name
  }
  /** Return how far the alphabetic baseline lies below the chosen one: not every renderer knows other baselines. */
  #baseline(): number {
    if (this.textBaseline === 'alphabetic') return 0
    const { baselines } = this.#shared
    const key = `${this.textBaseline} ${this.font}`
    let distance = baselines.get(key)
    if (distance === undefined) {
      const ascent = (baseline: string): number => {
        this.ruler.font = this.font
        this.ruler.textBaseline = baseline as CanvasTextBaseline
        return this.ruler.measureText('H').actualBoundingBoxAscent
      }
      distance = ascent('alphabetic') - ascent(this.textBaseline)
      this.ruler.textBaseline = 'alphabetic'
      baselines.set(key, distance)
    }
    return distance
  }
  #define(content: string): string {
    const { definitions } = this.#shared
    let id = definitions.get(content)
    if (id === undefined) definitions.set(content, (id = `d${definitions.size}`))
    return id
  }
}
