// A canvas that records what is drawn on it, for tests without a browser.

export interface Rectangle {
  kind: 'fill' | 'stroke'
  style: unknown
  alpha: number
  x: number
  y: number
  width: number
  height: number
}

export interface Text {
  text: string
  style: unknown
  font: string
  align: string
  x: number
  y: number
  /** Rotation in radians. */
  angle: number
}

export interface Path {
  kind: 'fill' | 'stroke'
  style: unknown
  alpha: number
  dash: number[]
  /** Each line as its points; a moveTo begins another line. */
  lines: [number, number][][]
  /** Circles: centre and radius. */
  arcs: { x: number; y: number; radius: number }[]
}

export interface Image {
  source: FakeCanvas
  /** Pixels of the part that was copied, row by row, at the time of the copy; empty where the source has none. */
  pixels: number[][]
  /** The left edge of that part. */
  left: number
  x: number
  y: number
  width: number
  height: number
}

interface State {
  fillStyle: unknown
  strokeStyle: unknown
  globalAlpha: number
  font: string
  textAlign: string
  origin: [number, number]
  angle: number
  dash: number[]
}

/** Width of a letter as a share of the size of its font. */
const LETTER_WIDTH = 0.6

/** Records drawings in the coordinates of the canvas; a translation moves them, a rotation only turns texts. */
export class RecordingPen {
  fillStyle: unknown = '#000000'
  strokeStyle: unknown = '#000000'
  globalAlpha = 1
  font = '10px sans-serif'
  textAlign = 'start'
  textBaseline = 'alphabetic'
  lineWidth = 1
  lineJoin = 'miter'
  imageSmoothingEnabled = true

  readonly rectangles: Rectangle[] = []
  readonly texts: Text[] = []
  readonly paths: Path[] = []
  readonly images: Image[] = []
  #origin: [number, number] = [0, 0]
  #angle = 0
  #dash: number[] = []
  #lines: [number, number][][] = []
  #arcs: Path['arcs'] = []
  readonly #saved: State[] = []

  constructor(readonly canvas: FakeCanvas = new FakeCanvas()) {}

  save(): void {
    const { fillStyle, strokeStyle, globalAlpha, font, textAlign } = this
    const [origin, angle, dash] = [this.#origin, this.#angle, this.#dash]
    this.#saved.push({ fillStyle, strokeStyle, globalAlpha, font, textAlign, origin, angle, dash })
  }
  restore(): void {
    const state = this.#saved.pop()
    if (!state) throw new Error('restore without save')
    const { origin, angle, dash, ...styles } = state
    Object.assign(this, styles)
    ;[this.#origin, this.#angle, this.#dash] = [origin, angle, dash]
  }
  setTransform(a: number, b: number, c: number, d: number, x: number, y: number): void {
    if (a !== 1 || b !== 0 || c !== 0 || d !== 1) throw new Error('only moves are recorded')
    this.#origin = [x, y]
  }
  scale(): void {}
  translate(x: number, y: number): void {
    this.#origin = [this.#origin[0] + x, this.#origin[1] + y]
  }
  rotate(angle: number): void {
    this.#angle += angle
  }
  clip(): void {}
  setLineDash(dash: number[]): void {
    this.#dash = dash
  }
  measureText(text: string): { width: number } {
    return { width: text.length * LETTER_WIDTH * parseFloat(/([\d.]+)px/.exec(this.font)?.[1] ?? '10') }
  }
  createPattern(tile: FakeCanvas): unknown {
    return { pattern: tile }
  }

  fillRect(x: number, y: number, width: number, height: number): void {
    this.rectangles.push({
      kind: 'fill',
      style: this.fillStyle,
      alpha: this.globalAlpha,
      ...this.#at(x, y),
      width,
      height,
    })
  }
  strokeRect(x: number, y: number, width: number, height: number): void {
    const style = this.strokeStyle
    this.rectangles.push({ kind: 'stroke', style, alpha: this.globalAlpha, ...this.#at(x, y), width, height })
  }
  fillText(text: string, x: number, y: number): void {
    const { fillStyle: style, font, textAlign: align } = this
    this.texts.push({ text, style, font, align, ...this.#at(x, y), angle: this.#angle })
  }
  putImageData(image: FakeImageData): void {
    this.canvas.image = image
  }
  drawImage(source: FakeCanvas, ...numbers: number[]): void {
    const [sx, sy, columns, rows, x, y, width, height] = numbers.length === 8 ? numbers : [0, 0, 0, 0, ...numbers]
    const { image } = source
    const pixels = Array.from({ length: image ? rows! : 0 }, (_, row) =>
      Array.from({ length: columns! }, (_, column) => image!.pixel(sx! + column, sy! + row)),
    )
    this.images.push({ source, pixels, left: sx!, ...this.#at(x!, y!), width: width!, height: height! })
  }

  beginPath(): void {
    this.#lines = []
    this.#arcs = []
  }
  closePath(): void {}
  rect(): void {}
  roundRect(): void {}
  moveTo(x: number, y: number): void {
    this.#lines.push([this.#point(x, y)])
  }
  lineTo(x: number, y: number): void {
    this.#lines.at(-1)!.push(this.#point(x, y))
  }
  arc(x: number, y: number, radius: number): void {
    this.#arcs.push({ ...this.#at(x, y), radius })
  }
  stroke(): void {
    this.#record('stroke', this.strokeStyle)
  }
  fill(): void {
    this.#record('fill', this.fillStyle)
  }

  #record(kind: Path['kind'], style: unknown): void {
    const lines = this.#lines.map((line) => [...line])
    this.paths.push({ kind, style, alpha: this.globalAlpha, dash: this.#dash, lines, arcs: [...this.#arcs] })
  }
  #point(x: number, y: number): [number, number] {
    return [x + this.#origin[0], y + this.#origin[1]]
  }
  #at(x: number, y: number): { x: number; y: number } {
    const [left, top] = this.#point(x, y)
    return { x: left, y: top }
  }
}

export class FakeImageData {
  readonly data: Uint8ClampedArray

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.data = new Uint8ClampedArray(4 * width * height)
  }

  /** The colour of a pixel as 0xAABBGGRR, as palettes have it. */
  pixel(x: number, y: number): number {
    if (x >= this.width || y >= this.height) throw new Error(`no pixel at ${x}, ${y}`)
    return new Uint32Array(this.data.buffer)[y * this.width + x]!
  }
}

export class FakeCanvas {
  width = 300
  height = 150
  image: FakeImageData | null = null
  readonly pen: RecordingPen = new RecordingPen(this)

  getContext(): RecordingPen {
    return this.pen
  }
}

/** Give modules that make canvases of their own a document that has them. Call it before anything is drawn. */
export function useFakeDocument(): void {
  Object.assign(globalThis, {
    document: { createElement: () => new FakeCanvas() },
    ImageData: FakeImageData,
  })
}

/** Return the texts that were copied from other canvases, whose pixels are those of the pen, with their places on it. */
export const copiedTexts = (pen: RecordingPen): Pick<Text, 'text' | 'style' | 'x' | 'y'>[] =>
  pen.images.flatMap(({ source, left, x, y, width }) =>
    source.pen.texts
      .filter((one) => one.x >= left && one.x < left + width)
      .map((one) => ({ text: one.text, style: one.style, x: x + one.x - left, y: y + one.y })),
  )

/** A recording pen, with the type that the drawing functions take. */
export function recordingPen(): RecordingPen & CanvasRenderingContext2D {
  return new RecordingPen() as RecordingPen & CanvasRenderingContext2D
}
