package loadtest

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// readSize takes in one read what a server may have joined into one write.
	readSize = 256 << 10
	// waitAtMost bounds a wait, so that phases end on time.
	waitAtMost = 20 * time.Millisecond
	// stalledBuffer is the receive buffer of a stream that is never read, in bytes.
	stalledBuffer = 4 << 10
)

// subscriber is one stream. Its tag in the poller is its index.
type subscriber struct {
	fd   int
	say  [][]byte // what opens the stream, each part once the one before is answered
	said int      // parts of say that have been written
	in   inbound
}

// publisher is one publishing connection.
type publisher struct {
	fd  int
	out []byte // requests the socket has not taken yet
	buf []byte // backs out
}

// load drives one job over plain TCP from a single thread: reading is one
// system call for whatever has arrived, writing one for all requests allowed.
type load struct {
	*run
	poll  *poller
	to    unix.Sockaddr
	subs  []subscriber // the stalled ones come last
	pubs  []publisher
	timer int // a timerfd, -1 without a rate
	buf   []byte

	begun, opening int
}

// Tags of what is not a subscriber come after the largest index of one.
const (
	timerTag  = MaxConns
	firstPub  = MaxConns + 1
	openLimit = 5 * time.Second // a connection that is not ready by then never will be
)

func newLoad(r *run) (*load, error) {
	to, err := sockaddr(r.target.Addr)
	if err != nil {
		return nil, err
	}
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	l := &load{run: r, poll: p, to: to, timer: -1, buf: make([]byte, readSize)}
	l.subs = make([]subscriber, r.job.Subscribers+r.job.Stalled)
	for i := range l.subs {
		l.subs[i] = subscriber{fd: -1, in: inbound{sub: i}}
	}
	return l, nil
}

// close ends every connection.
func (l *load) close() {
	for i := range l.subs {
		l.drop(i)
	}
	for _, p := range l.pubs {
		_ = unix.Close(p.fd)
	}
	if l.timer >= 0 {
		_ = unix.Close(l.timer)
	}
	l.poll.close()
}

func (l *load) drop(i int) {
	if l.subs[i].fd >= 0 {
		_ = unix.Close(l.subs[i].fd)
		l.subs[i].fd = -1
	}
}

// connect measures opening all subscribers.
func (l *load) connect() (err error) {
	if l.first, err = l.sample(); err != nil {
		return err
	}
	if err = l.openAll(); err != nil {
		return err
	}
	l.last, err = l.sample()
	return err
}

// openAll opens the subscribers, at most Parallel at once.
func (l *load) openAll() error {
	for l.opened < len(l.subs) {
		for l.opening < l.job.Parallel && l.begun < len(l.subs) {
			if err := l.openNext(); err != nil {
				return err
			}
		}
		events, err := l.poll.wait(waitAtMost)
		if err != nil {
			return err
		}
		for _, ev := range events {
			if err := l.openEvent(int(ev.Fd)); err != nil {
				return fmt.Errorf("open stream %d: %w", ev.Fd, err)
			}
		}
		if l.now() > l.limit {
			return fmt.Errorf("limit of %v passed with %d of %d streams open", l.job.Limit, l.opened, len(l.subs))
		}
	}
	return l.stall()
}

func (l *load) openNext() error {
	i := l.begun
	fd, err := dial(l.to)
	if err != nil {
		return fmt.Errorf("open stream %d: %w", i, err)
	}
	s := &l.subs[i]
	s.fd, s.say = fd, l.target.subscribing(i)
	s.in.parts = len(s.say)
	l.begun++
	l.opening++
	if err := s.speak(); err != nil {
		return fmt.Errorf("open stream %d: %w", i, err)
	}
	events := uint32(unix.EPOLLIN)
	if s.said == 0 {
		events |= unix.EPOLLOUT
	}
	return l.poll.add(fd, i, events)
}

// speak sends the next part, if the connection is up already; on loopback it
// mostly is, which saves a round through the poller.
func (s *subscriber) speak() error {
	_, err := writeFD(s.fd, s.say[s.said])
	if errors.Is(err, errAgain) && s.said == 0 {
		return nil
	}
	if err == nil {
		s.said++
	}
	return err
}

func (l *load) openEvent(i int) error {
	s := &l.subs[i]
	if s.said == 0 {
		if err := s.speak(); err != nil || s.said == 0 {
			return err
		}
		return l.poll.change(s.fd, i, unix.EPOLLIN)
	}
	was := s.in.open
	if err := l.read(i); err != nil || was {
		return err
	}
	if !s.in.open {
		if s.in.answered == s.said {
			return s.speak()
		}
		return nil
	}
	s.say = nil
	l.opening--
	l.opened++
	if l.job.Drop {
		l.drop(i)
	}
	return nil
}

// stall stops reading the last Stalled streams and makes them fill up soon.
func (l *load) stall() error {
	for i := l.job.Subscribers; i < len(l.subs); i++ {
		fd := l.subs[i].fd
		if err := l.poll.change(fd, i, 0); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, stalledBuffer); err != nil {
			return fmt.Errorf("set receive buffer: %w", err)
		}
	}
	return nil
}

// read takes what a stream has received.
func (l *load) read(i int) error {
	s := &l.subs[i]
	n, err := readFD(s.fd, l.buf)
	if errors.Is(err, errAgain) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("subscriber %d: read: %w", i, err)
	}
	if err := s.in.feed(l.buf[:n], &l.expect, l.ledger, l.now()); err != nil {
		return fmt.Errorf("subscriber %d: %w", i, err)
	}
	return nil
}

// traffic measures publishing to open subscribers.
func (l *load) traffic() error {
	if err := l.openAll(); err != nil {
		return err
	}
	if err := l.openPublishers(); err != nil {
		return err
	}
	l.begin()
	if err := l.pace(); err != nil {
		return err
	}
	for {
		now := l.now()
		finished, err := l.tick(now)
		if err != nil || finished {
			return err
		}
		if err := l.pump(now); err != nil {
			return err
		}
		if err := l.round(); err != nil {
			return err
		}
	}
}

// openPublishers connects the publishers. This is not measured, so it may block.
func (l *load) openPublishers() error {
	for i := range l.job.Publishers {
		fd, err := dial(l.to)
		if err != nil {
			return fmt.Errorf("open publisher %d: %w", i, err)
		}
		l.pubs = append(l.pubs, publisher{fd: fd})
		if err := l.greet(i, fd); err != nil {
			return fmt.Errorf("open publisher %d: %w", i, err)
		}
		// Edge-triggered, so that a socket with room does not report it all the time.
		if err := l.poll.add(fd, firstPub+i, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLET); err != nil {
			return err
		}
	}
	return nil
}

// greet waits for the connection and, with a broker, exchanges what comes before
// the first message.
func (l *load) greet(i, fd int) error {
	if err := awaitFD(fd, unix.POLLOUT, openLimit); err != nil {
		return err
	}
	say := l.target.publishing(i)
	in := inbound{parts: len(say)}
	for n, part := range say {
		if _, err := writeFD(fd, part); err != nil {
			return err
		}
		for in.answered <= n {
			if err := l.hear(fd, &in); err != nil {
				return err
			}
		}
	}
	return nil
}

// hear waits for more of an answer. Its length is bounded, so the waits are, too.
func (l *load) hear(fd int, in *inbound) error {
	if err := awaitFD(fd, unix.POLLIN, openLimit); err != nil {
		return err
	}
	n, err := readFD(fd, l.buf)
	if err != nil {
		return err
	}
	return in.feed(l.buf[:n], &l.expect, l.ledger, l.now())
}

// pace starts the timer of a paced job. The poller's own timeout, in whole
// milliseconds, would be too coarse.
func (l *load) pace() error {
	if l.job.Rate == 0 {
		return nil
	}
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create timer: %w", err)
	}
	l.timer = fd
	every := unix.NsecToTimespec(l.interval())
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		return fmt.Errorf("set timer: %w", err)
	}
	return l.poll.add(fd, timerTag, unix.EPOLLIN)
}

// pump lets every publisher write what it may.
func (l *load) pump(now int64) error {
	for i := range l.pubs {
		p := &l.pubs[i]
		if len(p.out) == 0 {
			n := l.may(i, now)
			if n == 0 {
				continue
			}
			p.buf = l.fill(p.buf[:0], i, n, now)
			p.out = p.buf
		}
		n, err := writeFD(p.fd, p.out)
		if err != nil && !errors.Is(err, errAgain) {
			return fmt.Errorf("publisher %d: write: %w", i, err)
		}
		p.out = p.out[n:]
	}
	return nil
}

// round waits for events and takes in what they bring.
func (l *load) round() error {
	events, err := l.poll.wait(waitAtMost)
	if err != nil {
		return err
	}
	for _, ev := range events {
		switch tag := int(ev.Fd); {
		case tag < len(l.subs):
			err = l.subscriberEvent(tag)
		case tag == timerTag:
			_, err = readFD(l.timer, l.buf[:8])
		default:
			err = l.publisherEvent(tag - firstPub)
		}
		if err != nil && !errors.Is(err, errAgain) {
			return err
		}
	}
	return nil
}

// subscriberEvent reads a stream. A stalled one only ever reports that the
// server has given it up, which is what it is there for.
func (l *load) subscriberEvent(i int) error {
	if i >= l.job.Subscribers {
		l.drop(i)
		return nil
	}
	return l.read(i)
}

// publisherEvent reads all answers there are, as an edge reports them once.
func (l *load) publisherEvent(i int) error {
	for {
		n, err := readFD(l.pubs[i].fd, l.buf)
		if errors.Is(err, errAgain) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("publisher %d: read: %w", i, err)
		}
		if err := l.response(i, l.buf[:n]); err != nil {
			return fmt.Errorf("publisher %d: %w", i, err)
		}
		if n < len(l.buf) {
			return nil
		}
	}
}
