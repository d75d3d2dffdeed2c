package loadtest

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pollBatch is how many events one wait returns at most.
const pollBatch = 512

// errAgain says that a non-blocking call would have to wait.
var errAgain = errors.New("not now")

// poller is an epoll instance whose events carry a number of the caller's.
type poller struct {
	fd     int
	events [pollBatch]unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create poller: %w", err)
	}
	return &poller{fd: fd}, nil
}

// add watches fd for events, which wait reports under tag.
func (p *poller) add(fd, tag int, events uint32) error {
	return p.ctl(unix.EPOLL_CTL_ADD, fd, tag, events)
}

// change replaces what fd is watched for.
func (p *poller) change(fd, tag int, events uint32) error {
	return p.ctl(unix.EPOLL_CTL_MOD, fd, tag, events)
}

func (p *poller) ctl(op, fd, tag int, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(tag)}
	if err := unix.EpollCtl(p.fd, op, fd, &ev); err != nil {
		return fmt.Errorf("watch descriptor: %w", err)
	}
	return nil
}

// wait returns what has happened, after timeout at the latest; the slice is
// valid until the next call.
func (p *poller) wait(timeout time.Duration) ([]unix.EpollEvent, error) {
	n, err := unix.EpollWait(p.fd, p.events[:], int(timeout.Milliseconds()))
	if errors.Is(err, unix.EINTR) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("wait for events: %w", err)
	}
	return p.events[:n], nil
}

func (p *poller) close() { _ = unix.Close(p.fd) }

// readFD reads without waiting: errAgain if nothing is there, io.EOF at the
// end. The call is made past the Go scheduler, which need not hear of calls
// that cannot block.
func readFD(fd int, p []byte) (int, error) {
	return transfer(unix.SYS_READ, fd, p)
}

// writeFD writes what fits without waiting; errAgain if nothing does.
func writeFD(fd int, p []byte) (int, error) {
	return transfer(unix.SYS_WRITE, fd, p)
}

func transfer(call uintptr, fd int, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return 0, errAgain
		case errno != 0:
			return 0, errno
		case n == 0 && call == unix.SYS_READ:
			return 0, io.EOF
		}
		return int(n), nil
	}
}

// dial begins a non-blocking connection.
func dial(to unix.Sockaddr) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open socket: %w", err)
	}
	if err := noDelay(fd); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	if err := unix.Connect(fd, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

// noDelay sends small writes at once; otherwise they wait for the peer's
// delayed acknowledgement.
func noDelay(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("set nodelay: %w", err)
	}
	return nil
}

// awaitFD waits until fd is ready for events or timeout has passed.
func awaitFD(fd int, events int16, timeout time.Duration) error {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		n, err := unix.Poll(fds, int(timeout.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("wait for descriptor: %w", err)
		case n == 0:
			return fmt.Errorf("wait for descriptor: nothing for %v", timeout)
		}
		return nil
	}
}

// sockaddr parses host:port, IPv4 only.
func sockaddr(addr string) (unix.Sockaddr, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil || !ap.Addr().Is4() {
		return nil, fmt.Errorf("address %q: want a numeric IPv4 address and port", addr)
	}
	return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}, nil
}
