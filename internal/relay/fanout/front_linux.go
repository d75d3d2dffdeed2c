package fanout

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// start begins to accept, if the listener's socket can be had. It works on a
// duplicate, since the net package does not let others wait on its listeners.
func (f *front) start() bool {
	l, ok := f.inner.(*net.TCPListener)
	if !ok {
		return false
	}
	file, err := l.File()
	if err != nil {
		return false
	}
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return false
	}
	f.stop = file.Close
	_ = raw.Control(func(l uintptr) { inherit(int(l)) })
	f.loops.Go(func() { f.accept(raw) }) // ends when the duplicate is closed
	return true
}

// aliveAfter is after how many seconds of silence TCP looks for the peer, and
// then again each time, as often as the kernel likes.
const aliveAfter = 15

// inherit sets what every accepted connection takes over from its listener.
// Answers are written whole, so there is nothing for Nagle to collect; and a
// client that has vanished without a word is noticed.
func inherit(l int) {
	_ = unix.SetsockoptInt(l, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(l, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(l, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, aliveAfter)
	_ = unix.SetsockoptInt(l, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, aliveAfter)
}

// breath is the pause after a failure to accept that may pass.
const breath = 10 * time.Millisecond

// accept takes connections until the listener is closed.
func (f *front) accept(raw syscall.RawConn) {
	spare := newSpare()
	defer func() { _ = unix.Close(spare) }()
	for {
		fd, addr, err := acceptOne(raw)
		switch {
		case err == nil:
			f.admit(fd, addr)
		case errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE):
			spare = f.shed(raw, spare)
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, unix.ECONNABORTED) || errors.Is(err, unix.EINTR):
		default:
			f.opt.Refused(fmt.Errorf("accept: %w", err))
			time.Sleep(breath) // no memory, or a network that is down (accept(2))
		}
	}
}

// acceptOne waits for a connection and accepts it. It fails with net.ErrClosed
// once the listener is closed.
func acceptOne(raw syscall.RawConn) (fd int, addr unix.Sockaddr, err error) {
	waited := raw.Read(func(l uintptr) bool {
		fd, addr, err = unix.Accept4(int(l), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		return err != unix.EAGAIN
	})
	if waited != nil {
		return 0, nil, net.ErrClosed // no deadline is set, so there is no other reason
	}
	return fd, addr, err
}

// newSpare is a descriptor to give up when there are no others.
func newSpare() int {
	fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// shed closes the connection at the front of the backlog, which could not even
// be accepted without the spare descriptor.
func (f *front) shed(raw syscall.RawConn, spare int) int {
	_ = unix.Close(spare)
	_ = raw.Control(func(l uintptr) { // does not wait: the client may have left
		if fd, _, err := unix.Accept4(int(l), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err == nil {
			f.refuse(hub.DescriptorOf(fd), errNoFiles)
		}
	})
	if spare = newSpare(); spare < 0 {
		time.Sleep(breath) // somebody else took it; do not spin
	}
	return spare
}

func (f *front) refuse(d *hub.Descriptor, cause error) {
	f.opt.Refused(cause)
	_, _, _ = d.Write(f.opt.Refusal)
	d.Finish()
}

// admit makes a connection a member that the front reads.
func (f *front) admit(fd int, addr unix.Sockaddr) {
	d := hub.DescriptorOf(fd)
	if f.opt.Full() {
		f.refuse(d, errFull)
		return
	}
	f.join(d, remoteText(addr), awaitHead)
}

func remoteText(addr unix.Sockaddr) string {
	switch a := addr.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)).String()
	}
	return ""
}

// open makes the connection one of the net package's.
func (f *front) open(p passing) (net.Conn, error) {
	file := os.NewFile(uintptr(p.socket.FD()), "connection")
	defer file.Close() // FileConn makes a duplicate
	c, err := net.FileConn(file)
	if err != nil {
		_, _, _ = p.socket.Write(f.opt.Refusal)
		return nil, fmt.Errorf("hand over connection: %w", err)
	}
	return &passed{TCPConn: c.(*net.TCPConn), read: p.read}, nil
}

// passed is a connection of which something has been read before.
type passed struct {
	*net.TCPConn
	read []byte // owned by the goroutine that reads
}

// Read gives what was read before, then what comes.
func (p *passed) Read(b []byte) (int, error) {
	if len(p.read) == 0 {
		return p.TCPConn.Read(b)
	}
	n := copy(b, p.read)
	if p.read = p.read[n:]; len(p.read) == 0 {
		p.read = nil
	}
	return n, nil
}
