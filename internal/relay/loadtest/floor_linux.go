package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// What the floor answers. The stream's head asks for chunks as a real server's
// does, and its first event is the one subscribers wait for.
const (
	floorStream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"1b\r\nevent: " + floorReady + "\ndata: \n\n\r\n"
	floorReady     = "stream-open"
	floorPublished = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nPublished\n"
	floorBacklog   = 4096
	floorPatience  = 5 * time.Second // how long a full socket may hold up everybody
)

var errRequest = errors.New("a request the floor does not know")

// The floor's arguments.
const (
	floorBatch = "batch"
	floorMQTT  = "mqtt"
)

// floor is the least a server of event streams can do, on one thread. A POST's
// body goes to every open GET as one ready-made event by one plain write each;
// with batch set, all messages one read of a publisher brought go out in one
// write per subscriber. With mqtt set it does the same as a broker: what one
// client publishes goes to every one that has subscribed, in a ready-made frame.
// It checks nothing and protects nobody: a subscriber whose socket is full holds
// up the rest.
type floor struct {
	batch    bool
	mqtt     bool
	poll     *poller
	listener int
	conns    map[int]*floorConn // by descriptor: publishers, and what has not said yet
	subs     []int              // descriptors of open streams
	place    map[int]int        // descriptor of an open stream → index in subs
	buf      []byte
	round    []byte // events to write
	answers  []byte // responses to write
}

// floorConn is a connection that is not a stream.
type floorConn struct {
	in   []byte // the beginning of a request
	head int    // of each of a publisher's requests in bytes, 0 until known
	size int    // head and body

	socket bool // frames follow
}

// serveFloor is the floor's child process.
func serveFloor(ctx context.Context, args []string, ready func(addr string)) error {
	runtime.LockOSThread()
	f := &floor{
		batch: slices.Contains(args, floorBatch), mqtt: slices.Contains(args, floorMQTT), listener: -1,
		conns: make(map[int]*floorConn), place: make(map[int]int), buf: make([]byte, readSize),
	}
	addr, err := f.listen()
	if err != nil {
		return err
	}
	defer f.close()
	ready(addr)
	for ctx.Err() == nil {
		if err := f.turn(); err != nil {
			return err
		}
	}
	return nil
}

func (f *floor) listen() (addr string, err error) {
	if f.poll, err = newPoller(); err != nil {
		return "", err
	}
	f.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open socket: %w", err)
	}
	if err := unix.Bind(f.listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(f.listener, floorBacklog); err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	local, err := unix.Getsockname(f.listener)
	if err != nil {
		return "", fmt.Errorf("read own address: %w", err)
	}
	in4, ok := local.(*unix.SockaddrInet4)
	if !ok {
		return "", errors.New("own address is not IPv4")
	}
	addr = netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port)).String()
	return addr, f.poll.add(f.listener, f.listener, unix.EPOLLIN)
}

func (f *floor) close() {
	for fd := range f.conns {
		_ = unix.Close(fd)
	}
	for _, fd := range f.subs {
		_ = unix.Close(fd)
	}
	_ = unix.Close(f.listener)
	f.poll.close()
}

// turn handles what has happened. The wait is short so that the caller's
// context is looked at.
func (f *floor) turn() error {
	events, err := f.poll.wait(100 * time.Millisecond)
	if err != nil {
		return err
	}
	for _, ev := range events {
		if fd := int(ev.Fd); fd == f.listener {
			err = f.accept()
		} else {
			err = f.readable(fd)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *floor) accept() error {
	for {
		fd, _, err := unix.Accept4(f.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ECONNABORTED) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		if err := noDelay(fd); err != nil {
			return err
		}
		f.conns[fd] = new(floorConn)
		if err := f.poll.add(fd, fd, unix.EPOLLIN); err != nil {
			return err
		}
	}
}

// readable reads a connection once. A read that fails ends that connection only.
func (f *floor) readable(fd int) error {
	n, err := readFD(fd, f.buf)
	if errors.Is(err, errAgain) {
		return nil
	}
	c := f.conns[fd]
	if err != nil || c == nil { // a stream that says something is not one of ours
		f.drop(fd)
		return nil
	}
	p := f.buf[:n]
	if len(c.in) > 0 {
		c.in = append(c.in, p...)
		p = c.in
	}
	rest, err := f.requests(fd, c, p)
	if err != nil {
		return err
	}
	c.in = append(c.in[:0], rest...)
	return nil
}

func (f *floor) drop(fd int) {
	if i, ok := f.place[fd]; ok {
		last := f.subs[len(f.subs)-1]
		f.subs[i], f.place[last] = last, i
		f.subs = f.subs[:len(f.subs)-1]
		delete(f.place, fd)
	}
	delete(f.conns, fd)
	_ = unix.Close(fd)
}

// requests handles the complete requests in p and returns the rest.
func (f *floor) requests(fd int, c *floorConn, p []byte) (rest []byte, err error) {
	if c.socket {
		return f.frames(fd, p)
	}
	if c.size == 0 {
		if known, err := f.learn(fd, c, p); !known {
			return p, err
		}
	}
	if f.conns[fd] == nil || c.socket {
		return nil, nil // it became a stream, or a socket whose client says nothing more before the answer
	}
	for len(p) >= c.size {
		f.take(p[c.head:c.size])
		p = p[c.size:]
		if !f.batch {
			if err := f.flush(fd); err != nil {
				return nil, err
			}
		}
	}
	return p, f.flush(fd)
}

// learn looks at a connection's first head. The requests of one publisher are
// all of one size, so their heads are never looked at again.
func (f *floor) learn(fd int, c *floorConn, p []byte) (known bool, err error) {
	head, _, ok := bytes.Cut(p, []byte("\r\n\r\n"))
	switch {
	case !ok:
		return false, nil
	case f.mqtt:
		c.socket = true
		return true, f.write(fd, []byte(floorSwitch))
	case bytes.HasPrefix(head, []byte("GET ")):
		f.subscribe(fd)
		return true, f.write(fd, []byte(floorStream))
	case !bytes.HasPrefix(head, []byte("POST ")):
		return false, errRequest
	}
	_, length, _ := bytes.Cut(head, []byte("Content-Length: "))
	length, _, _ = bytes.Cut(length, []byte("\r\n"))
	n, err := strconv.Atoi(string(length))
	if err != nil {
		return false, errRequest
	}
	c.head = len(head) + 4
	c.size = c.head + n
	return true, nil
}

func (f *floor) subscribe(fd int) {
	delete(f.conns, fd)
	f.place[fd] = len(f.subs)
	f.subs = append(f.subs, fd)
}

// take appends a message's event, as one chunk, and the answer to its publisher.
func (f *floor) take(payload []byte) {
	const before, after = "event: message\ndata: ", "\n\n"
	f.round = strconv.AppendInt(f.round, int64(len(before)+len(payload)+len(after)), 16)
	f.round = append(f.round, "\r\n"+before...)
	f.round = append(f.round, payload...)
	f.round = append(f.round, after+"\r\n"...)
	f.answers = append(f.answers, floorPublished...)
}

// flush writes the round to every subscriber and the answers to the publisher.
func (f *floor) flush(publisher int) error {
	if len(f.round) == 0 {
		return nil
	}
	// Upwards, in the order the sockets were made, which costs the kernel's caches
	// less than any other.
	for i := 0; i < len(f.subs); {
		fd := f.subs[i]
		if err := f.write(fd, f.round); err != nil {
			return err
		}
		if i < len(f.subs) && f.subs[i] == fd { // else it has failed, and the last one is in its place
			i++
		}
	}
	err := f.write(publisher, f.answers) // none to a publisher over MQTT
	f.round, f.answers = f.round[:0], f.answers[:0]
	return err
}

// write waits for a full socket; one that has failed is dropped.
func (f *floor) write(fd int, p []byte) error {
	for {
		n, err := writeFD(fd, p)
		if n == len(p) {
			return nil
		}
		if err != nil && !errors.Is(err, errAgain) {
			f.drop(fd)
			return nil
		}
		p = p[n:]
		if err := awaitFD(fd, unix.POLLOUT, floorPatience); err != nil {
			return fmt.Errorf("full socket: %w", err)
		}
	}
}
