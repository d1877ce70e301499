// Splitting a text into words and punctuation marks, by the rules of src/gatescope/splitting.py.
// tests/engine/vocabulary.test.ts compares every character and many texts with Python.

/** White space as Python's regular expressions and str.strip see it: not that of JavaScript. */
export const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'

/** A letter, digit or underscore. */
const WORD = '[\\p{L}\\p{N}_]'
const NO_WORD = `[^\\p{L}\\p{N}_${SPACE}]`

/** The letters of scripts without spaces, each a word of its own. */
const SPACELESS =
  '\\u3005-\\u3007\\u3021-\\u3029\\u3041-\\u3096\\u309d-\\u309f\\u30a1-\\u30fa\\u30fc-\\u312f\\u31a0-\\u31bf\\u31f0-\\u31ff' +
  '\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\uff66-\\uff9d\\u{1b000}-\\u{1b16f}\\u{20000}-\\u{323af}\\u0e01-\\u0e30' +
  '\\u0e32\\u0e33\\u0e40-\\u0e46\\u0e80-\\u0eb0\\u0eb2\\u0eb3\\u0ebd-\\u0ec6\\u0edc-\\u0edf\\u0f00\\u0f40-\\u0f6c\\u0f88-' +
  '\\u0f8c\\u1000-\\u102a\\u103f\\u1050-\\u1055\\u105a-\\u105d\\u1061\\u1065\\u1066\\u106e-\\u1070\\u1075-\\u1081\\u108e' +
  '\\u1780-\\u17b3\\u17d7\\u17dc\\u1950-\\u19ca\\u1a00-\\u1a16\\u1a20-\\u1a54\\u1b05-\\u1b33\\ua984-\\ua9b2\\uaa60-\\uaa76'

/** Marks that belong to the character before them. */
const MARKS =
  '\\u0300-\\u036f\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u200c\\u200d\\u20d0-\\u20f0\\ufe00-\\ufe0f\\ufe20-\\ufe2f\\u3099\\u309a' +
  '\\uff9e\\uff9f\\u{e0100}-\\u{e01ef}\\u0e31\\u0e34-\\u0e3a\\u0e47-\\u0e4e\\u0eb1\\u0eb4-\\u0ebc\\u0ec8-\\u0ece\\u0f18' +
  '\\u0f19\\u0f35\\u0f37\\u0f39\\u0f3e\\u0f3f\\u0f71-\\u0f84\\u0f86\\u0f87\\u0f8d-\\u0fbc\\u102b-\\u103e\\u1056-\\u1059' +
  '\\u105e-\\u1060\\u1062-\\u1064\\u1067-\\u106d\\u1071-\\u1074\\u1082-\\u108d\\u108f\\u109a-\\u109d\\u17b4-\\u17d3\\u17dd' +
  '\\u1a17-\\u1a1b\\u1a55-\\u1a7f\\u1b00-\\u1b04\\u1b34-\\u1b44\\ua980-\\ua983\\ua9b3-\\ua9c0\\u0483-\\u0489\\u0591-\\u05bd' +
  '\\u05bf\\u05c1\\u05c2\\u05c4\\u05c5\\u05c7\\u0610-\\u061a\\u064b-\\u065f\\u0670\\u06d6-\\u06dc\\u06df-\\u06e4\\u06e7' +
  '\\u06e8\\u06ea-\\u06ed\\u0711\\u0730-\\u074a\\u07a6-\\u07b0\\u07eb-\\u07f3\\u0898-\\u089f\\u08ca-\\u08e1\\u08e3-\\u0903' +
  '\\u093a-\\u094f\\u0951-\\u0957\\u0962\\u0963\\u0981-\\u0983\\u09bc-\\u09d7\\u09e2\\u09e3\\u0a01-\\u0a03\\u0a3c-\\u0a51' +
  '\\u0a70\\u0a71\\u0a75\\u0a81-\\u0a83\\u0abc-\\u0acd\\u0ae2\\u0ae3\\u0b01-\\u0b03\\u0b3c-\\u0b57\\u0b62\\u0b63\\u0b82' +
  '\\u0bbe-\\u0bd7\\u0c00-\\u0c04\\u0c3c-\\u0c56\\u0c62\\u0c63\\u0c81-\\u0c83\\u0cbc-\\u0cd6\\u0ce2\\u0ce3\\u0d00-\\u0d03' +
  '\\u0d3b-\\u0d57\\u0d62\\u0d63\\u0d81-\\u0d83\\u0dca-\\u0ddf\\u0df2\\u0df3\\u135d-\\u135f\\u1712-\\u1715\\u180b-\\u180d'

/** Letters and digits that Unicode added after version 14, whose class depends on the version of Python or browser. */
const NEWER =
  '\\u{88f}\\u{c5c}\\u{cdc}\\u{1c89}-\\u{1c8a}\\u{a7cb}-\\u{a7cf}\\u{a7d2}\\u{a7d4}\\u{a7da}-\\u{a7dc}' +
  '\\u{a7f1}\\u{105c0}-\\u{105f3}\\u{10940}-\\u{10959}\\u{10d40}-\\u{10d65}\\u{10d6f}-\\u{10d85}' +
  '\\u{10ec2}-\\u{10ec7}\\u{1123f}-\\u{11240}\\u{11380}-\\u{11389}\\u{1138b}\\u{1138e}\\u{11390}-\\u{113b5}' +
  '\\u{113b7}\\u{113d1}\\u{113d3}\\u{116d0}-\\u{116e3}\\u{11bc0}-\\u{11be0}\\u{11bf0}-\\u{11bf9}' +
  '\\u{11db0}-\\u{11ddb}\\u{11de0}-\\u{11de9}\\u{11f02}\\u{11f04}-\\u{11f10}\\u{11f12}-\\u{11f33}' +
  '\\u{11f50}-\\u{11f59}\\u{1342f}\\u{13441}-\\u{13446}\\u{13460}-\\u{143fa}\\u{16100}-\\u{1611d}' +
  '\\u{16130}-\\u{16139}\\u{16d40}-\\u{16d6c}\\u{16d70}-\\u{16d79}\\u{16ea0}-\\u{16eb8}' +
  '\\u{16ebb}-\\u{16ed3}\\u{16ff2}-\\u{16ff6}\\u{187f8}-\\u{187ff}\\u{18cff}\\u{18d09}-\\u{18d1e}' +
  '\\u{18d80}-\\u{18df2}\\u{1b132}\\u{1b155}\\u{1ccf0}-\\u{1ccf9}\\u{1d2c0}-\\u{1d2d3}\\u{1df25}-\\u{1df2a}' +
  '\\u{1e030}-\\u{1e06d}\\u{1e4d0}-\\u{1e4eb}\\u{1e4f0}-\\u{1e4f9}\\u{1e5d0}-\\u{1e5ed}' +
  '\\u{1e5f0}-\\u{1e5fa}\\u{1e6c0}-\\u{1e6de}\\u{1e6e0}-\\u{1e6e2}\\u{1e6e4}-\\u{1e6e5}' +
  '\\u{1e6e7}-\\u{1e6ed}\\u{1e6f0}-\\u{1e6f4}\\u{1e6fe}-\\u{1e6ff}\\u{2b739}-\\u{2b73f}' +
  '\\u{2cea2}-\\u{2cead}\\u{2ebf0}-\\u{2ee5d}\\u{31350}-\\u{33479}'

const MARK = `[${MARKS}]`
const RUN = `(?:(?:(?![${SPACELESS}])${WORD})+${MARK}*)+`
const JOINER = "['\\u2019-]"

/** Rule -> expression that matches a word or punctuation mark. */
const WORDS: ReadonlyMap<number, string> = new Map([
  [1, `${WORD}+(?:${JOINER}${WORD}+)*|${NO_WORD}`],
  [2, `[${SPACELESS}]${MARK}*|${RUN}(?:${JOINER}${RUN})*|${NO_WORD}${MARK}*`],
])

export const RULES: readonly number[] = [...WORDS.keys()]

/** Return an expression that finds the words and punctuation marks of a text by a rule. */
export function wordPattern(rule: number): RegExp {
  return new RegExp(WORDS.get(rule)!, 'gu')
}

/** Matches a character whose class may differ between Python and the browser. */
export const UNCERTAIN = new RegExp(`[${NEWER}\\p{Cn}]`, 'u')
