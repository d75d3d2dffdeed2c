//go:build unix

package relay

import "golang.org/x/sys/unix"

// connsByFileLimit is how many connections the limit on open files leaves room
// for. A connection that is being handed to a shard has two descriptors for a
// moment, and the store, logs and listeners need some.
func connsByFileLimit() int {
	const reserve, least, most = 64, 16, 1 << 20
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	files := int(min(uint64(limit.Cur), most)) // the field is signed on some systems
	return max(least, files-reserve-files/50)
}
