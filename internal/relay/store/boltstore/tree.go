package boltstore

import "bytes"

// span is the keys a page may hold: from low on, and below high unless that is
// nil.
type span struct{ low, high []byte }

func (s span) holds(key []byte) bool {
	return bytes.Compare(s.low, key) <= 0 && (s.high == nil || bytes.Compare(key, s.high) < 0)
}

// tree checks the page id and all below it, at most depth levels.
func (c *pageCheck) tree(id uint64, keys span, depth int) error {
	if depth == 0 {
		return damaged("pages", "page %d lies too deep", id)
	}
	p, err := c.read(id)
	if err != nil {
		return err
	}
	switch p.flags {
	case flagBranch:
		return c.branch(id, p, keys, depth)
	case flagLeaf:
		return c.leaf(id, p, keys, depth)
	}
	return damaged("pages", "page %d is of kind %#x", id, p.flags)
}

func (c *pageCheck) branch(id uint64, p page, keys span, depth int) error {
	firsts := make([][]byte, p.count)
	for i := range firsts {
		key, ok := p.branchKey(i)
		if !ok {
			return damaged("pages", "page %d is cut short", id)
		}
		firsts[i] = key
	}
	if len(firsts) == 0 || !keys.sorted(firsts) {
		return damaged("pages", "keys of page %d are out of order", id)
	}
	for i, low := range firsts {
		below := span{low, keys.high}
		if i+1 < len(firsts) {
			below.high = firsts[i+1]
		}
		if err := c.tree(p.child(i), below, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// sorted reports whether the keys all lie in s and each behind the one before.
func (s span) sorted(keys [][]byte) bool {
	for i, key := range keys {
		if !s.holds(key) || i > 0 && bytes.Compare(keys[i-1], key) >= 0 {
			return false
		}
	}
	return true
}

func (c *pageCheck) leaf(id uint64, p page, keys span, depth int) error {
	all := make([][]byte, p.count)
	for i := range all {
		flags, key, value, ok := p.item(i)
		if !ok {
			return damaged("pages", "page %d is cut short", id)
		}
		if flags&flagBucket != 0 {
			if err := c.bucket(id, value, depth); err != nil {
				return err
			}
		}
		all[i] = key
	}
	if !keys.sorted(all) {
		return damaged("pages", "keys of page %d are out of order", id)
	}
	return nil
}

// bucket checks what a leaf element says about a bucket. A small bucket is a
// leaf page inside the element itself.
func (c *pageCheck) bucket(id uint64, value []byte, depth int) error {
	if len(value) < bucketHead {
		return damaged("pages", "a bucket in page %d is cut short", id)
	}
	if root := order.Uint64(value); root != 0 {
		return c.tree(root, span{}, depth-1)
	}
	inner := value[bucketHead:]
	if len(inner) < pageHead || depth == 0 {
		return damaged("pages", "a bucket in page %d is cut short", id)
	}
	p := parsePage(inner)
	if p.flags != flagLeaf {
		return damaged("pages", "a bucket in page %d is of kind %#x", id, p.flags)
	}
	return c.leaf(id, p, span{}, depth-1)
}

// branchKey is the i-th key of a branch, the lowest below its child.
func (p page) branchKey(i int) (key []byte, ok bool) {
	at, ok := p.element(i)
	if !ok {
		return nil, false
	}
	return p.cut(at, order.Uint32(p.b[at:]), uint64(order.Uint32(p.b[at+4:])))
}

// child is the i-th child of a branch.
func (p page) child(i int) uint64 {
	return order.Uint64(p.b[pageHead+i*elementLen+8:])
}

// item is the i-th element of a leaf.
func (p page) item(i int) (flags uint32, key, value []byte, ok bool) {
	at, ok := p.element(i)
	if !ok {
		return 0, nil, nil, false
	}
	n := order.Uint32(p.b[at+8:])
	both, ok := p.cut(at, order.Uint32(p.b[at+4:]), uint64(n)+uint64(order.Uint32(p.b[at+12:])))
	if !ok {
		return 0, nil, nil, false
	}
	return order.Uint32(p.b[at:]), both[:n], both[n:], true
}

// element is where the i-th element starts.
func (p page) element(i int) (at int, ok bool) {
	at = pageHead + i*elementLen
	return at, at+elementLen <= len(p.b)
}

// cut returns n bytes at pos, which counts from the element at at.
func (p page) cut(at int, pos uint32, n uint64) (b []byte, ok bool) {
	from := uint64(at) + uint64(pos)
	if from+n > uint64(len(p.b)) {
		return nil, false
	}
	return p.b[from : from+n], true
}
