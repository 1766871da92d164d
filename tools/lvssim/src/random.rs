// SPDX-License-Identifier: GPL-2.0-only

//! Random numbers: one stream for each purpose, so that runs with different schedulers see the same
//! arrivals and sizes (common random numbers), and the distributions of workloads.

mod arrivals;
mod clients;
mod sizes;
mod stream;

pub use arrivals::{Arrivals, Process, Visit};
pub use clients::Clients;
pub use sizes::Sizes;
pub use stream::{Purpose, Stream};

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        Stream::new(7, 0, Purpose::Sizes)
    }

    #[test]
    fn samples_have_the_mean_that_the_distribution_says() {
        let sizes = [
            Sizes::Constant(2.0),
            Sizes::Exponential(2.0),
            Sizes::Uniform(1.0, 3.0),
            Sizes::log_normal(2.0, 4.0),
            Sizes::pareto(2.0, 1.5, 1e3),
            Sizes::Bimodal(1.0, 101.0, 0.01),
            Sizes::hyper(2.0, 4.0),
        ];
        for sizes in sizes {
            let mut stream = stream();
            let count = 1_000_000;
            let sum: f64 = (0..count).map(|_| sizes.sample(&mut stream)).sum();
            let mean = sum / f64::from(count);
            assert!(
                (sizes.mean() - 2.0).abs() < 1e-9,
                "{sizes:?}: {}",
                sizes.mean()
            );
            assert!((mean - 2.0).abs() < 0.05, "{sizes:?}: {mean}");
        }
    }

    #[test]
    fn squared_coefficients_of_variation_are_as_wanted() {
        for sizes in [Sizes::log_normal(1.0, 4.0), Sizes::hyper(1.0, 4.0)] {
            let mut stream = stream();
            let count = 2_000_000;
            let square = |_| sizes.sample(&mut stream).powi(2);
            let second: f64 = (0..count).map(square).sum::<f64>() / f64::from(count);
            assert!((second - 5.0).abs() < 0.25, "{sizes:?}: {second}");
        }
    }

    #[test]
    fn processes_have_the_rate_that_was_wanted() {
        let processes = [
            Arrivals::Deterministic,
            Arrivals::Poisson,
            Arrivals::Bursts {
                rates: [0.5, 5.5],
                dwell: [0.9, 0.1],
            },
            Arrivals::OnOff {
                sources: 50,
                alpha: 1.5,
                least: 0.1,
            },
            Arrivals::Diurnal {
                period: 10.0,
                depth: 0.8,
                days: vec![1.0],
            },
            Arrivals::Renewal(Sizes::hyper(1.0, 9.0)),
        ];
        for arrivals in processes {
            let mut stream = stream();
            let mut process = Process::new(arrivals.clone(), 1000.0, &mut stream);
            let count = 1_000_000;
            let last = (0..count).fold(0.0, |before, _| {
                let now = process.advance(&mut stream);
                assert!(now >= before, "{arrivals:?}");
                now
            });
            let rate = f64::from(count) / last;
            assert!((rate / 1000.0 - 1.0).abs() < 0.1, "{arrivals:?}: {rate}");
        }
    }

    #[test]
    fn a_flash_crowd_is_a_multiple_for_a_while() {
        let mut stream = stream();
        let flash = Arrivals::Flash {
            at: 10.0,
            hold: 10.0,
            factor: 5.0,
        };
        let mut process = Process::new(flash, 100.0, &mut stream);
        let times: Vec<_> = (0..10_000).map(|_| process.advance(&mut stream)).collect();
        let in_tens = |from: f64| {
            times
                .iter()
                .filter(|time| (from..from + 10.0).contains(*time))
                .count()
        };
        assert!((900..1100).contains(&in_tens(0.0)), "{}", in_tens(0.0));
        assert!((4800..5200).contains(&in_tens(10.0)), "{}", in_tens(10.0));
        assert!((900..1100).contains(&in_tens(20.0)), "{}", in_tens(20.0));
    }

    #[test]
    fn each_day_of_a_week_has_its_factor() {
        let mut stream = stream();
        let week = Arrivals::Diurnal {
            period: 10.0,
            depth: 0.5,
            days: vec![1.5, 0.5],
        };
        let mut process = Process::new(week, 1000.0, &mut stream);
        let mut days = [0.0; 4];
        loop {
            let day = (process.advance(&mut stream) / 10.0) as usize;
            match days.get_mut(day) {
                Some(count) => *count += 1.0,
                None => break,
            }
        }
        for (count, wanted) in days.into_iter().zip([15_000.0, 5000.0, 15_000.0, 5000.0]) {
            assert!((count / wanted - 1.0_f64).abs() < 0.05, "{days:?}");
        }
    }

    #[test]
    fn popular_clients_are_popular() {
        let mut stream = stream();
        let clients = Clients::Zipf(1000, 1.0);
        let first = (0..100_000)
            .filter(|_| clients.sample(0, &mut stream) == 1)
            .count();
        // 1 / H(1000) = 13.4 %.
        assert!((12_900..13_900).contains(&first), "{first}");
    }

    #[test]
    fn streams_differ_by_seed_replication_and_purpose_only() {
        let first = |seed, replication, purpose| Stream::new(seed, replication, purpose).bits();
        let one = first(1, 0, Purpose::Arrivals);
        assert_eq!(one, first(1, 0, Purpose::Arrivals));
        assert_ne!(one, first(2, 0, Purpose::Arrivals));
        assert_ne!(one, first(1, 1, Purpose::Arrivals));
        assert_ne!(one, first(1, 0, Purpose::Sizes));
    }
}
