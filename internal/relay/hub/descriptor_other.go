//go:build !linux

package hub

import (
	"errors"
	"net"
)

// HasDescriptors reports whether NewDescriptor can succeed on this system.
const HasDescriptors = false

// Descriptor is the fast sink, which only Linux has.
type Descriptor struct{}

// NewDescriptor reports false: other systems use a Mailbox.
func NewDescriptor(net.Conn) (*Descriptor, bool) { return nil, false }

var errNoDescriptor = errors.New("descriptors are for Linux only")

// Write implements Sink and fails.
func (*Descriptor) Write([]byte) (n int, full bool, err error) { return 0, false, errNoDescriptor }

// Finish implements Sink and does nothing.
func (*Descriptor) Finish() {}

// Abort implements Sink and does nothing.
func (*Descriptor) Abort() {}

type readState uint8

const (
	readEmpty readState = iota
	readClosed
	readFailed
)

func (*Descriptor) read([]byte) (int, readState) { return 0, readFailed }

type poller struct{}

func newPoller(func([]readiness)) (*poller, error) { return nil, errNoDescriptor }

func (*poller) add(*Descriptor, slot) error { return errNoDescriptor }

func (*poller) remove(*Descriptor) error { return errNoDescriptor }

func (*poller) close() {}
