package hub

import (
	"fmt"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// HasDescriptors reports whether NewDescriptor can succeed on this system.
const HasDescriptors = true

// Descriptor is the fast sink: a socket the shard writes to itself, with no
// goroutine, no buffer and no deadline timer of its own.
type Descriptor struct {
	fd int
}

// NewDescriptor takes a connection's socket away from the Go runtime. It
// reports false, leaving the connection alone, when there is no plain socket to
// take: TLS, a pipe, or another system than Linux.
func NewDescriptor(c net.Conn) (*Descriptor, bool) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, false
	}
	fd := -1
	// A duplicate, because only Close makes the runtime's poller let go.
	err = raw.Control(func(old uintptr) {
		fd, _ = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil || fd < 0 {
		return nil, false
	}
	_ = c.Close() // closes the original only
	return &Descriptor{fd: fd}, true
}

// DescriptorOf wraps a connected socket that the Go runtime does not know.
func DescriptorOf(fd int) *Descriptor { return &Descriptor{fd: fd} }

// FD is the socket; it is the caller's only after Detach.
func (d *Descriptor) FD() int { return d.fd }

// Write implements Sink. It uses a raw system call: a non-blocking send takes a
// few microseconds, less than telling the scheduler about it would cost.
func (d *Descriptor) Write(p []byte) (n int, full bool, err error) {
	for n < len(p) {
		r, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(d.fd), uintptr(unsafe.Pointer(&p[n])),
			uintptr(len(p)-n), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			n += int(r)
		case syscall.EINTR:
		case syscall.EAGAIN:
			return n, true, nil
		default:
			return n, false, errno
		}
	}
	return n, false, nil
}

// Finish implements Sink. What the peer has sent is read first: closing a
// socket with unread bytes would reset it and lose what it still has to send.
func (d *Descriptor) Finish() {
	var buf [2048]byte
	for range 16 {
		if n, _ := d.read(buf[:]); n == 0 {
			break
		}
	}
	_ = unix.Shutdown(d.fd, unix.SHUT_WR)
	_ = unix.Close(d.fd)
}

// Abort implements Sink. The reset frees what the kernel holds for a peer that
// does not read.
func (d *Descriptor) Abort() {
	_ = unix.SetsockoptLinger(d.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(d.fd)
}

// readState is why a read returned nothing.
type readState uint8

const (
	readEmpty  readState = iota // nothing has arrived
	readClosed                  // the peer has closed its side
	readFailed                  // the connection is broken
)

// read takes in what has arrived, without waiting.
func (d *Descriptor) read(buf []byte) (n int, state readState) {
	for {
		r, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(d.fd), uintptr(unsafe.Pointer(&buf[0])),
			uintptr(len(buf)), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0 && r > 0:
			return int(r), readEmpty
		case errno == 0:
			return 0, readClosed
		case errno == syscall.EAGAIN:
			return 0, readEmpty
		case errno != syscall.EINTR:
			return 0, readFailed
		}
	}
}

// poller watches a shard's descriptors. Its epoll instance is itself watched by
// the Go runtime's poller, so that waiting blocks a goroutine and not a thread.
type poller struct {
	epoll *epollFile
	done  chan struct{}
}

// newPoller starts the poller's goroutine, which ends after close.
func newPoller(notice func([]readiness)) (*poller, error) {
	ep, err := newEpollFile()
	if err != nil {
		return nil, fmt.Errorf("create poller: %w", err)
	}
	p := &poller{epoll: ep, done: make(chan struct{})}
	go func() { // owned by the poller, ends after close
		defer close(p.done)
		p.watch(notice)
	}()
	return p, nil
}

func (p *poller) watch(notice func([]readiness)) {
	events := make([]unix.EpollEvent, 256)
	seen := make([]readiness, 0, len(events))
	for {
		n, err := p.epoll.wait(events)
		if err != nil {
			return
		}
		seen = seen[:0]
		for _, e := range events[:n] {
			seen = append(seen, readiness{
				slot:     slot{uint32(e.Fd), uint32(e.Pad)},
				readable: e.Events&unix.EPOLLIN != 0,
				writable: e.Events&unix.EPOLLOUT != 0,
				hangup:   e.Events&(unix.EPOLLERR|unix.EPOLLHUP|unix.EPOLLRDHUP) != 0,
			})
		}
		notice(seen)
	}
}

// add watches d for the member at the slot, edge-triggered: each event is told
// once, and a full socket that has room again is one.
func (p *poller) add(d *Descriptor, at slot) error {
	return p.epoll.add(d.fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     int32(at.index), Pad: int32(at.gen),
	})
}

// remove stops watching d.
func (p *poller) remove(d *Descriptor) error { return p.epoll.remove(d.fd) }

func (p *poller) close() {
	if p == nil {
		return
	}
	p.epoll.close()
	<-p.done
}
