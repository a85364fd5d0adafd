package executor

import "time"

// parkDriver is the driver of an executor that does no I/O: it parks the runner.
type parkDriver struct {
	wake  chan struct{}
	timer *time.Timer
}

func newParkDriver() *parkDriver { return &parkDriver{wake: make(chan struct{}, 1)} }

func (d *parkDriver) Poll(wait time.Duration) (int, error) {
	switch {
	case wait < 0:
		<-d.wake
	case wait == 0:
		select {
		case <-d.wake:
		default:
		}
	default:
		if d.timer == nil {
			d.timer = time.NewTimer(wait)
		} else {
			d.timer.Reset(wait)
		}
		select {
		case <-d.wake:
			d.timer.Stop()
		case <-d.timer.C:
		}
	}
	return 0, nil
}

func (d *parkDriver) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *parkDriver) InFlight() int { return 0 }
