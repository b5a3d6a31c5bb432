// For adapters and tests of Banyan itself: what they implement and what they stand on. Not for applications.

export {}
