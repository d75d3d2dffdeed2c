package boltstore

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"os"
)

// bbolt trusts its pages: a damaged one makes it panic, fault, loop or, where
// the list of free pages is the damaged one, write over live data later. So the
// pages are checked before bbolt sees them. This file knows the layout bbolt
// documents and nothing of what is stored in it; it reads only.
//
//	page:    8 id, 2 flags, 2 count, 4 overflow (further pages that belong to it)
//	header:  pages 0 and 1, written in turns: 4 magic, 4 version, 4 page size,
//	         4 flags, 16 root bucket, 8 free list, 8 high water, 8 transaction,
//	         8 FNV-1a of these
//	branch:  count × (4 position, 4 key length, 8 page)
//	leaf:    count × (4 flags, 4 position, 4 key length, 4 value length)
//	free:    count × 8 page; if count is 65535 the first is the count
//	bucket:  a leaf value: 8 root page, 8 sequence; root 0: a leaf page follows
const (
	pageHead    = 16
	elementLen  = 16
	headerLen   = 64
	bucketHead  = 16
	flagBranch  = 0x01
	flagLeaf    = 0x02
	flagFree    = 0x10
	flagBucket  = 0x01 // of a leaf element
	headerMagic = 0xED0CDAED
	headerVers  = 2
	maxDepth    = 64 // of pages and buckets; a sound tree of 2^64 keys is less deep
	maxPageSize = 64 << 10
)

var order = binary.NativeEndian // bbolt maps the file into memory as it is

// header is the newer of a file's two.
type header struct {
	pageSize              uint32
	root, freelist        uint64
	highWater, generation uint64 // pages from highWater on are not in use
}

// pageCheck walks every page in use and accounts for each page of the file once.
type pageCheck struct {
	file io.ReaderAt
	header
	seen []bool // by page id
}

// checkFile checks the structure of the data file at path.
func checkFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return checkPages(f, info.Size())
}

// checkPages checks the structure of a database of size bytes. It holds a path
// of pages from the root in memory and one bool per page.
func checkPages(file io.ReaderAt, size int64) error {
	h, err := readHeader(file)
	if err != nil {
		return err
	}
	// The size comes first: it bounds everything below.
	if pages := uint64(size) / uint64(h.pageSize); h.highWater > pages || h.highWater < 4 {
		return damaged("size", "%d pages are there of %d", pages, h.highWater)
	}
	c := pageCheck{file: file, header: h, seen: make([]bool, h.highWater)}
	return c.run()
}

// readHeader reads both headers. bbolt would do with one, but it writes them
// whole, so a broken one is damage, and if it is the newer one the last commit
// would be lost in silence.
func readHeader(r io.ReaderAt) (header, error) {
	first, err := readHeaderAt(r, 0)
	if err != nil {
		return header{}, err
	}
	second, err := readHeaderAt(r, int64(first.pageSize))
	if err != nil {
		return header{}, err
	}
	if first.pageSize != second.pageSize {
		return header{}, damaged("file header", "its two copies differ")
	}
	if second.generation > first.generation {
		return second, nil
	}
	return first, nil
}

func readHeaderAt(r io.ReaderAt, at int64) (header, error) {
	b := make([]byte, headerLen)
	if _, err := r.ReadAt(b, at+pageHead); errors.Is(err, io.EOF) {
		return header{}, damaged("size", "the file is too short for its header")
	} else if err != nil {
		return header{}, err
	}
	if order.Uint32(b) != headerMagic || order.Uint32(b[4:]) != headerVers {
		return header{}, damaged("file header", "it is not a bbolt database of version %d", headerVers)
	}
	h := fnv.New64a()
	h.Write(b[:56])
	if h.Sum64() != order.Uint64(b[56:]) {
		return header{}, damaged("file header", "checksum does not match")
	}
	size := order.Uint32(b[8:])
	if size < 1024 || size > maxPageSize {
		return header{}, damaged("file header", "page size is %d", size)
	}
	return header{
		pageSize: size, root: order.Uint64(b[16:]), freelist: order.Uint64(b[32:]),
		highWater: order.Uint64(b[40:]), generation: order.Uint64(b[48:]),
	}, nil
}

// run accounts for all pages: two headers, the free list, what it lists, and
// what the root bucket reaches.
func (c *pageCheck) run() error {
	c.seen[0], c.seen[1] = true, true
	if err := c.free(); err != nil {
		return err
	}
	if err := c.tree(c.root, span{}, maxDepth); err != nil {
		return err
	}
	for id, ok := range c.seen {
		if !ok {
			return damaged("pages", "page %d is neither used nor free", id)
		}
	}
	return nil
}

// take counts page id and n further ones as used; no page can be used twice.
func (c *pageCheck) take(id, n uint64) error {
	if id < 2 || id >= c.highWater || n >= c.highWater-id {
		return damaged("pages", "page %d lies outside of the file", id)
	}
	for i := id; i <= id+n; i++ {
		if c.seen[i] {
			return damaged("pages", "page %d is used twice", i)
		}
		c.seen[i] = true
	}
	return nil
}

// page is a page with what overflows from it.
type page struct {
	flags uint16
	count int
	b     []byte
}

// read takes page id and reads it whole.
func (c *pageCheck) read(id uint64) (page, error) {
	if id >= c.highWater {
		return page{}, damaged("pages", "page %d lies outside of the file", id)
	}
	at, b := int64(id)*int64(c.pageSize), make([]byte, c.pageSize)
	if _, err := c.file.ReadAt(b, at); err != nil {
		return page{}, err
	}
	if got := order.Uint64(b); got != id {
		return page{}, damaged("pages", "page %d says it is page %d", id, got)
	}
	overflow := uint64(order.Uint32(b[12:]))
	if err := c.take(id, overflow); err != nil {
		return page{}, err
	}
	rest := make([]byte, overflow*uint64(c.pageSize)) // take has compared it with the file
	_, err := c.file.ReadAt(rest, at+int64(c.pageSize))
	return parsePage(append(b, rest...)), err
}

// parsePage reads the head of a page; b holds all of it.
func parsePage(b []byte) page {
	return page{flags: order.Uint16(b[8:]), count: int(order.Uint16(b[10:])), b: b}
}

// free reads the list of free pages and counts them.
func (c *pageCheck) free() error {
	p, err := c.read(c.freelist)
	if err != nil {
		return err
	}
	ids, n := p.b[pageHead:], uint64(p.count)
	if n == 0xFFFF {
		n, ids = order.Uint64(ids), ids[8:]
	}
	if p.flags != flagFree || n > uint64(len(ids)/8) {
		return damaged("pages", "page %d is not a list of free pages", c.freelist)
	}
	for ; n > 0; n, ids = n-1, ids[8:] {
		if err := c.take(order.Uint64(ids), 0); err != nil {
			return err
		}
	}
	return nil
}
