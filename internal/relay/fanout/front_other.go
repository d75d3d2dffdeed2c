//go:build !linux

package fanout

import "net"

// start reports false: only Linux has descriptors a shard can read.
func (f *front) start() bool { return false }

// open fails: nothing is read, so nothing is handed over.
func (f *front) open(passing) (net.Conn, error) { return nil, errHandOver }
