package hub

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// epollFile is an epoll instance that the Go runtime waits for.
type epollFile struct {
	fd   int
	file *os.File
	raw  syscall.RawConn
}

func newEpollFile() (*epollFile, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	// Only a non-blocking descriptor is given to the runtime's poller.
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &epollFile{fd: fd, file: file, raw: raw}, nil
}

func (e *epollFile) add(fd int, ev *unix.EpollEvent) error {
	return unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, ev)
}

func (e *epollFile) remove(fd int) error {
	return unix.EpollCtl(e.fd, unix.EPOLL_CTL_DEL, fd, nil)
}

// wait blocks until there are events, or close was called.
func (e *epollFile) wait(events []unix.EpollEvent) (n int, err error) {
	var failed error
	err = e.raw.Read(func(fd uintptr) bool {
		n, failed = unix.EpollWait(int(fd), events, 0)
		if failed == unix.EINTR {
			n, failed = 0, nil
		}
		return n > 0 || failed != nil
	})
	if err == nil {
		err = failed
	}
	return n, err
}

func (e *epollFile) close() { _ = e.file.Close() }
