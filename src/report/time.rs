//! Times, for people.

use jiff::Timestamp;

/// Seconds since 1970 as `2026-11-20 20:05:03 UTC`.
pub fn shown(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => format!("second {seconds}"),
    }
}

/// Seconds since 1970 as LVM writes them into comments: `Fri Nov 20 20:05:03 2026`.
pub fn ctime(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%a %b %e %H:%M:%S %Y").to_string(),
        Err(_) => format!("second {seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(shown(1_795_205_103), "2026-11-20 20:05:03 UTC");
        assert_eq!(ctime(1_795_205_103), "Fri Nov 20 20:05:03 2026");
        assert_eq!(shown(i64::MAX), format!("second {}", i64::MAX));
    }
}
