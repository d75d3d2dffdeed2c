//go:build !linux

package fanout

import "github.com/pubsubctl/pubsubctl/internal/relay/hub"

// start reports false: only Linux has descriptors a shard can read.
func (f *front) start() bool { return false }

func (c *conn) pass(m *hub.Member[*item], _ []byte) { m.Abort(errTimeout) }
