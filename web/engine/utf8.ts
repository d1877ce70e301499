// UTF-8 as Python reads and writes it with lone surrogates: each is three bytes, there and back.

/** Return the bytes of a text. */
export function toUtf8(text: string): Uint8Array {
  const bytes: number[] = []
  for (const character of text) {
    const point = character.codePointAt(0)!
    if (point < 0x80) bytes.push(point)
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), 0x80 | (point & 63))
    else if (point < 0x10000) bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63))
    else bytes.push(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63))
  }
  return Uint8Array.from(bytes)
}

/** Return the text of bytes; what is not UTF-8 becomes U+FFFD. */
export function fromUtf8(bytes: readonly number[]): string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let [text, from] = ['', 0]
  const take = (to: number): void => {
    if (to > from) text += decoder.decode(Uint8Array.from(bytes.slice(from, to)))
  }
  for (let k = 0; k + 2 < bytes.length; k++) {
    const [first, second, third] = [bytes[k]!, bytes[k + 1]!, bytes[k + 2]!]
    if (first !== 0xed || second < 0xa0 || second > 0xbf || third < 0x80 || third > 0xbf) continue
    take(k)
    text += String.fromCharCode(0xd000 | ((second & 63) << 6) | (third & 63))
    from = k + 3
    k += 2
  }
  take(bytes.length)
  return text
}
