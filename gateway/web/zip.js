// Writes a zip file without compressing (pictures already are), after APPNOTE.TXT 6.3.10.

/** @typedef {{ name: string, content: Blob }} Entry */

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END_OF_DIRECTORY = 0x06054b50;
const VERSION = 20;
const MADE_BY_UNIX = 3 << 8;
const REGULAR_FILE_0644 = 0o100644;
const UTF8_NAMES = 1 << 11;
const STORED = 0;
// Without zip64, counts are 16 bits and offsets 32, and the highest value of each is reserved.
const MOST_ENTRIES = 0xfffe;
const MOST_BYTES = 0xfffffffe;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/**
 * Packs files into one zip; their contents are referred to, not copied.
 * @param {Entry[]} entries each of another name
 * @param {Date} [modified] the time the archive gives its files
 * @returns {Promise<Blob>}
 * @throws {RangeError} too many or too large for a zip without 64-bit fields
 */
export async function zip(entries, modified = new Date()) {
  if (entries.length > MOST_ENTRIES) throw new RangeError("too many files for one zip");
  /** @type {BlobPart[]} */
  const files = [];
  /** @type {BlobPart[]} */
  const directory = [];
  let offset = 0;
  let directorySize = 0;
  for (const { name, content } of entries) {
    const encodedName = new TextEncoder().encode(name);
    const description = describe(content.size, await crc32(content), encodedName.length, modified);
    const local = pack([LOCAL_HEADER, 4], ...description, [0, 2]);
    const central = pack(
      [CENTRAL_HEADER, 4],
      [VERSION | MADE_BY_UNIX, 2],
      ...description,
      [0, 2], // no extra field
      [0, 2], // no comment
      [0, 2], // on the first disk
      [0, 2], // not known to be text
      [REGULAR_FILE_0644 * 0x10000, 4],
      [offset, 4],
    );
    files.push(local, encodedName, content);
    directory.push(central, encodedName);
    offset += local.length + encodedName.length + content.size;
    directorySize += central.length + encodedName.length;
    if (offset + directorySize > MOST_BYTES) throw new RangeError("too large for one zip");
  }
  const end = pack(
    [END_OF_DIRECTORY, 4],
    [0, 2], // this disk
    [0, 2], // the directory's disk
    [entries.length, 2],
    [entries.length, 2],
    [directorySize, 4],
    [offset, 4],
    [0, 2], // no comment
  );
  return new Blob([...files, ...directory, end], { type: "application/zip" });
}

/**
 * The checksum of zip and PNG: CRC-32 of ISO 3309.
 * @param {Blob} content
 */
export async function crc32(content) {
  const reader = content.stream().getReader();
  let crc = 0xffffffff;
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    for (const byte of chunk.value) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/**
 * The fields both headers share.
 * @param {number} size
 * @param {number} crc
 * @param {number} nameLength
 * @param {Date} modified
 * @returns {[value: number, bytes: number][]}
 */
function describe(size, crc, nameLength, modified) {
  const time = (modified.getHours() << 11) | (modified.getMinutes() << 5) | (modified.getSeconds() >> 1);
  const date = ((modified.getFullYear() - 1980) << 9) | ((modified.getMonth() + 1) << 5) | modified.getDate();
  return [[VERSION, 2], [UTF8_NAMES, 2], [STORED, 2], [time, 2], [date, 2], [crc, 4], [size, 4], [size, 4], [nameLength, 2]];
}

/**
 * Lays out little-endian fields.
 * @param {[value: number, bytes: number][]} fields
 */
function pack(...fields) {
  const bytes = new Uint8Array(fields.reduce((sum, [, width]) => sum + width, 0));
  const view = new DataView(bytes.buffer);
  let position = 0;
  for (const [value, width] of fields) {
    if (width === 2) view.setUint16(position, value, true);
    else view.setUint32(position, value, true);
    position += width;
  }
  return bytes;
}
